"""Dates as laboratories write them. Refuses a date that could be two days, such as `03/04/2026`.

What day it is today is not known here.
"""

import re
from datetime import date, timedelta
from typing import Final

from services.template.domain.numbers import plain
from services.template.domain.table import Fault

DAY_FIRST: Final = "dmy"
MONTH_FIRST: Final = "mdy"
YEAR_FIRST: Final = "ymd"

MONTHS_IN_YEAR = 12
SERIAL_EPOCH: Final = date(1899, 12, 30)
"""Day 0 of a spreadsheet's serial numbers, with its leap day of 1900 that never was."""
SERIAL_MIN = 10_000
"""18 May 1927: a smaller number is rather a year or a mistake."""
SERIAL_MAX = 99_999

_TIME = (
    r"(?:[T ]\s*[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:\s*[AaPp][Mm])?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_COMPACT = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([-/.])([0-9]{{1,2}})\2([0-9]{{4}}){_TIME}")
_YEAR_SHORT = re.compile(rf"[0-9]{{1,2}}([-/.])(?:[0-9]{{1,2}}|[A-Za-z]{{3,9}})\1[0-9]{{2}}{_TIME}")
_DAY_MONTH = re.compile(
    rf"([0-9]{{1,2}})(?:st|nd|rd|th)?[-\s./]+([A-Za-z]{{3,9}})\.?[-\s,./]+([0-9]{{4}}){_TIME}"
)
_MONTH_DAY = re.compile(
    rf"([A-Za-z]{{3,9}})\.?[-\s]+([0-9]{{1,2}})(?:st|nd|rd|th)?[-\s,]+([0-9]{{4}}){_TIME}"
)
_SERIAL = re.compile(r"([0-9]{5})(?:\.[0-9]+)?")

REMEDY = "Write it as year-month-day, such as 2026-11-03."


def collected_on(text: str, order: str) -> date | Fault:
    """Read a day; `order` is what the header says of day and month, or nothing."""
    written = plain(text)
    if found := _YEAR_FIRST.fullmatch(written):
        return _day(found[1], found[3], found[4])
    if found := _COMPACT.fullmatch(written):
        return _day(found[1], found[2], found[3])
    if found := _YEAR_LAST.fullmatch(written):
        return _year_last(found, order)
    if found := _SERIAL.fullmatch(written):
        return _serial(int(found[1]))
    return _with_words(written)


def _with_words(written: str) -> date | Fault:
    if found := _DAY_MONTH.fullmatch(written):
        return _day(found[3], _month(found[2]), found[1])
    if found := _MONTH_DAY.fullmatch(written):
        return _day(found[3], _month(found[1]), found[2])
    if _YEAR_SHORT.fullmatch(written):
        return Fault("collected_on.year", "The year has two digits only.", REMEDY)
    return Fault("collected_on.date", "This cannot be read as a date.", REMEDY)


def _year_last(found: re.Match[str], order: str) -> date | Fault:
    first, second, year = int(found[1]), int(found[3]), found[4]
    if order == MONTH_FIRST or second > MONTHS_IN_YEAR:
        return _day(year, first, second)
    if order == DAY_FIRST or found[2] == "." or first > MONTHS_IN_YEAR or first == second:
        return _day(year, second, first)
    one, other = f"{year}-{second:02}-{first:02}", f"{year}-{first:02}-{second:02}"
    return Fault(
        "collected_on.ambiguous",
        f"This can be {one} or {other}.",
        f"Write {one} or {other}, or say the order in the header: 'Collection Date (DD/MM/YYYY)'.",
    )


def _serial(days: int) -> date | Fault:
    if not SERIAL_MIN <= days <= SERIAL_MAX:
        return Fault("collected_on.date", "This cannot be read as a date.", REMEDY)
    return SERIAL_EPOCH + timedelta(days=days)


def _month(word: str) -> int:
    """Number a month by its English name or an abbreviation of it; 0 where there is none."""
    names = (
        *("january", "february", "march", "april", "may", "june", "july"),
        *("august", "september", "october", "november", "december"),
    )
    short = word.casefold()
    return next(
        (n for n, name in enumerate(names, 1) if name.startswith(short)),
        9 if short == "sept" else 0,
    )


def _day(year: str, month: str | int, day: str | int) -> date | Fault:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return Fault("collected_on.date", "There is no such day.", REMEDY)
