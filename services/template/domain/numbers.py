"""Numbers as people write them, and the units of volume and concentration.

Values are exact decimals, kept to four places: a ten-thousandth of a microlitre is below what any
pipette can do. Refuses what could mean two things, such as `1,500`.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from services.template.domain.table import Fault, listed

PLACES: Final = Decimal("0.0001")
FINE: Final = Decimal("1e-10")
"""Kept until the unit is applied."""
EXPONENT_MAX = 12
"""Beyond ten to this power a number is out of every range, and is not computed with."""
VOLUME_UL_MAX = Decimal(1_000_000)
CONCENTRATION_NG_PER_UL_MAX = Decimal(100_000)
QUALITY_MAX = Decimal(10)
THOUSANDS = 3
"""Digits of a group."""
SHOWN_CHARACTERS_MAX = 20

VOLUME_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    **dict.fromkeys(listed("ul, microliter, microliters, microlitre, microlitres"), Decimal(1)),
    **dict.fromkeys(listed("ml, milliliter, milliliters, millilitre, millilitres"), Decimal(1000)),
    **dict.fromkeys(listed("l, liter, liters, litre, litres"), Decimal(1_000_000)),
    "nl": Decimal("0.001"),
}
"""Microlitres of each unit; without a unit it is microlitres."""

CONCENTRATION_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    **dict.fromkeys(listed("ngul, ngperul, ugml, ugperml, mgl, mgperl"), Decimal(1)),
    **dict.fromkeys(listed("mgml, mgperml, ugul, ugperul, gl, gperl"), Decimal(1000)),
    **dict.fromkeys(listed("ngml, ngperml, pgul, pgperul, ugl, ugperl"), Decimal("0.001")),
    **dict.fromkeys(listed("mgul, mgperul"), Decimal(1_000_000)),
}
"""Nanograms per microlitre of each unit; without a unit it is nanograms per microlitre."""

MOLAR_UNITS: Final = frozenset({"m", "mm", "um", "nm", "pm", "nmoll", "pmolul"})
"""Cannot be converted to a mass without knowing the fragments' length."""

_QUANTITY = re.compile(r"([+-]?[.,]?[0-9][0-9., ']*(?:[eE][+-]?[0-9]{1,9})?)\s*(.*)", re.DOTALL)
_DIGITS = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?")
_OF_TEN = re.compile(r"(.+?)\s*/\s*10")
_MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def plain(text: str) -> str:
    """Spell a text with plain digits, letters, minus signs and spaces; micro becomes `u`."""
    text = text.replace("º", "°")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_MINUS).replace("\u03bc", "u")
    return text.strip()


def squashed(text: str) -> str:
    """Reduce a text to its letters and digits, in lower case, to compare it."""
    return "".join(filter(str.isalnum, plain(text).casefold()))


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A quantity that may be written with a unit."""

    name: str
    units: Mapping[str, Decimal]
    written: str
    """How to write it."""
    most: Decimal
    most_said: str


_VOLUME: Final = _Quantity(
    "volume",
    VOLUME_UNITS,
    "µL, or in another unit as in '1.5 mL'",
    VOLUME_UL_MAX,
    f"{VOLUME_UL_MAX:,} µL (one litre)",
)
_CONCENTRATION: Final = _Quantity(
    "concentration",
    CONCENTRATION_UNITS,
    "ng/µL, or in another unit as in '0.5 mg/mL'",
    CONCENTRATION_NG_PER_UL_MAX,
    f"{CONCENTRATION_NG_PER_UL_MAX:,} ng/µL (100 mg/mL)",
)


def volume_ul(text: str, unit: str) -> Decimal | Fault:
    """Read a volume in microlitres; a unit in the cell goes before the header's."""
    value = _read(text, unit, _VOLUME)
    if isinstance(value, Fault) or value > 0:
        return value
    return Fault(
        "volume.positive",
        "A volume must be more than 0 µL.",
        "Measure the tube again and write its volume; leave the cell empty if it is not known.",
    )


def concentration_ng_per_ul(text: str, unit: str) -> Decimal | Fault:
    """Read a concentration in ng/µL; a unit in the cell goes before the header's."""
    value = _read(text, unit, _CONCENTRATION)
    if isinstance(value, Fault) or value >= 0:
        return value
    return Fault(
        "concentration.negative",
        "A concentration cannot be negative.",
        "Write 0 if nothing was found; leave the cell empty if it was not measured.",
    )


def quality_score(text: str, _hint: str) -> Decimal | Fault:
    """Read a score from 0 to 10, such as `8.5` or `8.5/10`."""
    written = plain(text)
    of_ten = _OF_TEN.fullmatch(written)
    value = _number(of_ten[1] if of_ten else written, "quality_score")
    if isinstance(value, Fault):
        return value
    if not 0 <= value <= QUALITY_MAX:
        return Fault(
            "quality_score.range",
            f"A quality score lies between 0 and {QUALITY_MAX}.",
            "Divide a percentage by 10; leave the cell empty if there is no score.",
        )
    return value.quantize(Decimal("0.001"), ROUND_HALF_EVEN)


def _read(text: str, header_unit: str, what: _Quantity) -> Decimal | Fault:
    found = _QUANTITY.fullmatch(plain(text))
    if found is None:
        return _no_number(what.name)
    value = _number(found[1].strip(), what.name)
    if isinstance(value, Fault):
        return value
    unit = squashed(found[2]) if found[2] else header_unit
    factor = what.units.get(unit) if unit or not found[2] else None
    if factor is None:
        return _wrong_unit(found[2] or unit, what)
    value = (value * factor).quantize(PLACES, ROUND_HALF_EVEN)
    return value if value <= what.most else _beyond(what.name, what.most_said)


def _beyond(name: str, most_said: str) -> Fault:
    problem = f"A {name} can be at most {most_said}."
    return Fault(f"{name}.range", problem, "Check the number and its unit.")


def _wrong_unit(unit: str, what: _Quantity) -> Fault:
    shown = unit[:SHOWN_CHARACTERS_MAX]
    if what is _CONCENTRATION and squashed(unit) in MOLAR_UNITS:
        return Fault(
            "concentration.molar",
            f"'{shown}' is molar: it gives no mass without the fragments' length.",
            "Write the concentration in ng/µL, and the molarity in the notes.",
        )
    problem = f"'{shown}' is no unit of {what.name} known here."
    return Fault(f"{what.name}.unit", problem, f"Write the {what.name} in {what.written}.")


def _number(text: str, name: str) -> Decimal | Fault:
    digits = _with_point(text.replace(" ", "").replace("'", ""))
    if digits is None:
        return Fault(
            f"{name}.ambiguous",
            "This can be read with a decimal comma or with a separator of thousands.",
            "Write a decimal point and no separator of thousands, such as 1500 or 1.5.",
        )
    if not _DIGITS.fullmatch(digits):
        return _no_number(name)
    value = Decimal(digits)
    if value and value.adjusted() > EXPONENT_MAX:
        return Fault(f"{name}.range", "This is too large.", "Check the number and its unit.")
    return value.quantize(FINE, ROUND_HALF_EVEN)


def _with_point(text: str) -> str | None:
    """Spell a number with a decimal point; None where it can be read in two ways."""
    if "," in text and "." in text:
        point = "," if text.rindex(",") > text.rindex(".") else "."
        whole, _, rest = text.rpartition(point)
        return f"{whole.replace('.' if point == ',' else ',', '')}.{rest}"
    first, *groups = text.split("," if "," in text else ".")
    if len(groups) > 1:
        return "".join((first, *groups)) if _are_thousands(groups) else text
    if "," not in text:
        return text
    # 1,500 may be either; 0,500 and 1,50 can only have a decimal comma.
    either = _are_thousands(groups) and first.lstrip("+-") not in {"", "0"}
    return None if either else f"{first}.{groups[0]}"


def _are_thousands(groups: Sequence[str]) -> bool:
    return all(len(group) == THOUSANDS for group in groups)


def _no_number(name: str) -> Fault:
    return Fault(
        f"{name}.number",
        f"This is not a number, and a {name.replace('_', ' ')} must be one.",
        "Write digits with a decimal point, without '<', '~' or words; "
        "leave the cell empty if it is not known.",
    )
