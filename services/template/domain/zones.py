"""Storage temperatures as people write them: by name, or in degrees Celsius."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Final

from contracts.types import Zone
from services.template.domain.numbers import plain, squashed
from services.template.domain.table import Fault, listed
from services.template.domain.words import CACHED_WORDS_MAX

REMEDY = "Write one of -80, -20, 4, RT or 37 (°C)."

_NAMES: Final[Mapping[str, Zone]] = {
    **dict.fromkeys(listed("ult, ultralow, ultralowfreezer"), Zone.ULTRA_LOW),
    **dict.fromkeys(listed("fridge, refrigerator, refrigerated"), Zone.REFRIGERATED),
    **dict.fromkeys(listed("rt, room, roomtemperature, roomtemp, ambient"), Zone.ROOM),
    "ambienttemperature": Zone.ROOM,
    **dict.fromkeys(listed("incubator, incubated"), Zone.INCUBATED),
}

_RANGES_C: Final = (
    (Decimal(-90), Decimal(-65), Zone.ULTRA_LOW),
    (Decimal(-30), Decimal(-15), Zone.FROZEN),
    (Decimal(2), Decimal(8), Zone.REFRIGERATED),
    (Decimal(15), Decimal(25), Zone.ROOM),
    (Decimal(36), Decimal(38), Zone.INCUBATED),
)
"""Degrees Celsius that belong to a zone, both ends included."""

_FRIDGE = re.compile(r"2\s*(?:°\s*C?)?\s*(?:-|to)\s*8\s*(?:°\s*)?C?", re.IGNORECASE)
_MINUS = re.compile(r"minus\s*", re.IGNORECASE)
_DEGREES = re.compile(
    r"([+-]?\s*[0-9]{1,3}(?:[.,][0-9]{1,2})?)"
    r"\s*(?:°|deg(?:rees?)?)?\s*(?:c|celsius)?(?:\s+freezer)?",
    re.IGNORECASE,
)


@lru_cache(maxsize=CACHED_WORDS_MAX)
def zone(text: str, _hint: str) -> Zone | Fault:
    """Read a storage temperature."""
    named = _NAMES.get(squashed(text))
    if named is not None:
        return named
    written = _MINUS.sub("-", plain(text), count=1)
    if _FRIDGE.fullmatch(written):
        return Zone.REFRIGERATED
    found = _DEGREES.fullmatch(written)
    if found is None:
        problem = "This is no storage temperature known here."
        return Fault("storage_temperature.unheard", problem, REMEDY)
    degrees = Decimal(found[1].replace(" ", "").replace(",", "."))
    return _zone_of(degrees) or _no_zone(degrees)


def _zone_of(degrees: Decimal) -> Zone | None:
    return next((zone for low, high, zone in _RANGES_C if low <= degrees <= high), None)


def _no_zone(degrees: Decimal) -> Fault:
    meant = _zone_of(-degrees)
    hint = f"If {meant.value} is meant, write it with the other sign. " if meant else ""
    problem = f"Nothing is kept at {degrees} °C here."
    return Fault("storage_temperature.zone", problem, f"{hint}{REMEDY}")
