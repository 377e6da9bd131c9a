"""Old versions of messages, read as today's: pure upcasters, one step each.

Logs live for ever, so a version that was ever written stays readable. Nothing is ever written
downwards.
"""

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
Upcaster = Callable[[Data], Data]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, version) -> what turns the data of that version into the next."""


class UnknownVersionError(ValueError):
    """No path leads from the version of a message to the one this code speaks."""


def upcasts(message_type: str, *, version: int) -> Callable[[Upcaster], Upcaster]:
    """Register what turns version `version` of a message type into `version + 1`.

    Raises:
        ValueError: that step is registered already.
    """

    def register(upcaster: Upcaster) -> Upcaster:
        if (message_type, version) in UPCASTERS:
            raise ValueError(f"{message_type} version {version} has an upcaster already")
        UPCASTERS[message_type, version] = upcaster
        return upcaster

    return register


def upgrade(message_type: str, data: Data, *, version: int, to: int) -> Data:
    """Carry data from `version` to version `to`, one step at a time.

    Raises:
        UnknownVersionError: the version is newer than `to`, or a step is missing.
    """
    if version > to:
        raise UnknownVersionError(
            f"{message_type} version {version} is newer than {to}, the newest known here: "
            "deploy the newer contracts first"
        )
    for step in range(version, to):
        upcaster = UPCASTERS.get((message_type, step))
        if upcaster is None:
            raise UnknownVersionError(
                f"{message_type} has no upcaster from version {step}: "
                "register one in contracts/versions.py"
            )
        data = upcaster(data)
    return data
