"""Numbers as people write them, and the units of volume and concentration.

Values are exact decimals, kept to four places: a ten-thousandth of a microlitre is below what any
pipette can do. Refuses what could mean two things, such as `1,500`.
"""

import re
import unicodedata
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from services.template.domain.table import Fault

PLACES: Final = Decimal("0.0001")
EXPONENT_MAX = 12
"""Beyond ten to this power a number is out of every range, and is not computed with."""
VOLUME_UL_MAX = Decimal(1_000_000)
CONCENTRATION_NG_PER_UL_MAX = Decimal(100_000)
QUALITY_MAX = Decimal(10)
THOUSANDS = 3

VOLUME_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    **dict.fromkeys(
        ("ul", "microl", "microliter", "microliters", "microlitre", "microlitres"), Decimal(1)
    ),
    **dict.fromkeys(
        ("ml", "milliliter", "milliliters", "millilitre", "millilitres"), Decimal(1000)
    ),
    **dict.fromkeys(("l", "liter", "liters", "litre", "litres"), Decimal(1_000_000)),
    "nl": Decimal("0.001"),
}
"""Microlitres of each unit; without a unit it is microlitres."""

CONCENTRATION_UNITS: Final[Mapping[str, Decimal]] = {
    "": Decimal(1),
    **dict.fromkeys(("ngul", "ngperul", "ugml", "ugperml", "mgl", "mgperl"), Decimal(1)),
    **dict.fromkeys(("mgml", "mgperml", "ugul", "ugperul", "gl", "gperl"), Decimal(1000)),
    **dict.fromkeys(("ngml", "ngperml", "pgul", "pgperul", "ugl", "ugperl"), Decimal("0.001")),
    **dict.fromkeys(("mgul", "mgperul"), Decimal(1_000_000)),
}
"""Nanograms per microlitre of each unit; without a unit it is nanograms per microlitre."""

MOLAR_UNITS: Final = frozenset({"m", "mm", "um", "nm", "pm", "nmoll", "pmolul"})
"""Cannot be converted to a mass without knowing the fragments' length."""

_QUANTITY = re.compile(r"([+-]?[0-9][0-9., ']*(?:[eE][+-]?[0-9]{1,9})?)\s*(.*)", re.DOTALL)
_OF_TEN = re.compile(r"(.+?)\s*/\s*10")
_MINUS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


def plain(text: str) -> str:
    """Spell a text with plain digits, letters, minus signs and spaces; `µ` and `μ` both become `u`."""
    text = text.replace("º", "°")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_MINUS).replace("\u03bc", "u")
    return text.strip()


def squashed(text: str) -> str:
    """Reduce a text to its letters and digits, in lower case, to compare it."""
    return "".join(filter(str.isalnum, plain(text).casefold()))


def volume_ul(text: str, unit: str) -> Decimal | Fault:
    """Read a volume in microlitres; a unit in the cell goes before the header's."""
    value = _quantity(text, unit, "volume", VOLUME_UNITS, "µL, or mL as in '1.5 mL'")
    if isinstance(value, Fault):
        return value
    if value <= 0:
        return Fault(
            "volume.positive",
            "A volume must be more than 0 µL.",
            "Measure the tube again and write its volume in µL; leave the cell empty if it is not known.",
        )
    return _at_most(value, VOLUME_UL_MAX, "volume", "µL (one litre)")


def concentration_ng_per_ul(text: str, unit: str) -> Decimal | Fault:
    """Read a concentration in nanograms per microlitre; a unit in the cell goes before the header's."""
    value = _quantity(
        text, unit, "concentration", CONCENTRATION_UNITS, "ng/µL, or mg/mL as in '0.5 mg/mL'"
    )
    if isinstance(value, Fault):
        return value
    if value < 0:
        return Fault(
            "concentration.negative",
            "A concentration cannot be negative.",
            "Write 0 if nothing was found; leave the cell empty if it was not measured.",
        )
    return _at_most(value, CONCENTRATION_NG_PER_UL_MAX, "concentration", "ng/µL (100 mg/mL)")


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


def _at_most(value: Decimal, most: Decimal, what: str, unit: str) -> Decimal | Fault:
    if value <= most:
        return value
    return Fault(
        f"{what}.range",
        f"A {what} can be at most {most:,} {unit}.",
        "Check the number and its unit.",
    )


def _quantity(
    text: str, header_unit: str, what: str, units: Mapping[str, Decimal], remedy: str
) -> Decimal | Fault:
    found = _QUANTITY.fullmatch(plain(text))
    if found is None:
        return _no_number(what)
    value = _number(found[1].strip(), what)
    if isinstance(value, Fault):
        return value
    unit = squashed(found[2]) or header_unit
    factor = units.get(unit)
    if factor is None or (found[2] and not squashed(found[2])):
        return _wrong_unit(found[2] or unit, what, remedy, molar=unit in MOLAR_UNITS)
    return (value * factor).quantize(PLACES, ROUND_HALF_EVEN)


def _wrong_unit(unit: str, what: str, remedy: str, *, molar: bool) -> Fault:
    if molar and what == "concentration":
        return Fault(
            "concentration.molar",
            f"'{unit[:20]}' is a molar concentration: it gives no mass without the fragments' length.",
            "Write the concentration in ng/µL, and the molarity in the notes.",
        )
    return Fault(
        f"{what}.unit",
        f"'{unit[:20]}' is no unit of {what} known here.",
        f"Write the {what} in {remedy}.",
    )


def _number(text: str, what: str) -> Decimal | Fault:
    digits = _with_point(text.replace(" ", "").replace("'", ""))
    if digits is None:
        return Fault(
            f"{what}.ambiguous",
            f"'{text[:20]}' can be read with a decimal comma or with a separator of thousands.",
            "Write a decimal point and no separator of thousands, such as 1500 or 1.5.",
        )
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", digits):
        return _no_number(what)
    value = Decimal(digits)
    if value and value.adjusted() > EXPONENT_MAX:
        return Fault(
            f"{what}.range", f"'{text[:20]}' is too large.", "Check the number and its unit."
        )
    return value.quantize(Decimal("1e-10"), ROUND_HALF_EVEN)


def _with_point(text: str) -> str | None:
    """Spell a number with a decimal point; None where it can be read in two ways."""
    if "," not in text:
        groups = text.split(".")
        return "".join(groups) if len(groups) > 2 and _are_thousands(groups) else text  # noqa: PLR2004 - 1.234.567
    if "." in text:
        decimal_comma = text.rindex(",") > text.rindex(".")
        whole, _, rest = text.rpartition("," if decimal_comma else ".")
        return f"{whole.replace('.' if decimal_comma else ',', '')}.{rest}"
    groups = text.split(",")
    if len(groups) > 2:  # noqa: PLR2004 - 1,234,567
        return "".join(groups) if _are_thousands(groups) else text
    ambiguous = len(groups[1]) == THOUSANDS and groups[0].lstrip("+-") not in {"", "0"}
    return None if ambiguous else ".".join(groups)


def _are_thousands(groups: list[str]) -> bool:
    return all(len(group) == THOUSANDS for group in groups[1:])


def _no_number(what: str) -> Fault:
    name = what.replace("_", " ")
    return Fault(
        f"{what}.number",
        f"This is not a number, and a {name} must be one.",
        "Write digits with a decimal point, without '<', '~' or words; leave the cell empty if it is not known.",
    )
