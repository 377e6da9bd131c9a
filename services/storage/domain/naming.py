"""Names of things that stand beside each other: how they are compared, and how paths are read."""

import re
import unicodedata

from contracts.storage import ContainerRefused

PATH_SEPARATOR = " > "

_DIGITS = re.compile(r"(\d+)")


def claimed(name: str) -> str:
    """Give a name as it is compared: case and the spelling of characters make no difference."""
    return unicodedata.normalize("NFKC", name).casefold()


def name_taken(name: str, *, parent: str) -> ContainerRefused:
    """Refuse a name that a sibling has already."""
    return ContainerRefused(
        field="name",
        value=name,
        problem=f"{parent} has a container named {name} already; case makes no difference.",
        remedy="Choose a name that no other container of the same parent has.",
    )


def natural_order(path: str) -> list[tuple[bool, int, str]]:
    """Sort paths as a person does: R2 before R10."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in _DIGITS.split(path)
        if part
    ]
