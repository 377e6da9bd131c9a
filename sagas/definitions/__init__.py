"""Every saga of the laboratory, in every version that may still run. Checked when imported."""

from typing import Final

from sagas.definitions.bulk_import import BULK_IMPORT
from sagas.definitions.consent_withdrawal import CONSENT_WITHDRAWAL
from sagas.definitions.excursion_response import EXCURSION_RESPONSE
from sagas.definitions.run_completion import RUN_COMPLETION
from sagas.definitions.sample_disposal import SAMPLE_DISPOSAL
from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.definitions.sample_submission import SAMPLE_SUBMISSION
from sagas.definitions.sequencing_run import SEQUENCING_RUN
from sagas.definitions.storage_transfer import STORAGE_TRANSFER
from sagas.engine.definition import Definition
from sagas.engine.validate import checked

__all__ = [
    "ALL",
    "BULK_IMPORT",
    "CONSENT_WITHDRAWAL",
    "EXCURSION_RESPONSE",
    "RUN_COMPLETION",
    "SAMPLE_DISPOSAL",
    "SAMPLE_INTAKE",
    "SAMPLE_SUBMISSION",
    "SEQUENCING_RUN",
    "STORAGE_TRANSFER",
    "UnknownDefinitionError",
    "find",
]

ALL: Final[tuple[Definition, ...]] = (
    checked(SAMPLE_INTAKE),
    checked(SAMPLE_SUBMISSION),
    checked(BULK_IMPORT),
    checked(STORAGE_TRANSFER),
    checked(EXCURSION_RESPONSE),
    checked(SEQUENCING_RUN),
    checked(RUN_COMPLETION),
    checked(CONSENT_WITHDRAWAL),
    checked(SAMPLE_DISPOSAL),
)


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
