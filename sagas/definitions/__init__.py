"""Every saga of the laboratory, in every version that may still run. Checked when imported."""

from typing import Final

from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.engine.definition import Definition
from sagas.engine.validate import checked

__all__ = ["ALL", "SAMPLE_INTAKE", "UnknownDefinitionError", "find"]

ALL: Final[tuple[Definition, ...]] = (checked(SAMPLE_INTAKE),)


class UnknownDefinitionError(ValueError):
    """No saga has this type and version."""


def find(saga_type: str, version: int) -> Definition:
    """Find a definition.

    Raises:
        UnknownDefinitionError: there is none of this type and version.
    """
    for definition in ALL:
        if (definition.saga_type, definition.version) == (saga_type, version):
            return definition
    known = ", ".join(f"{one.saga_type} version {one.version}" for one in ALL)
    raise UnknownDefinitionError(f"no saga is {saga_type} version {version}; there is: {known}")
