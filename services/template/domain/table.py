"""A manifest as a table: header, rows with the numbers a person sees, and whose cells they are.

Cells are text as it stands in the file; what they mean is decided elsewhere.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.errors import Refused
from contracts.template import ManifestUnreadable

INVISIBLE = re.compile(
    "[\\u200b-\\u200f\\u202a-\\u202e\\u2060-\\u2064\\ufeff\\u00ad\\x00-\\x1f\\x7f]"
)
"""Characters that take no room: a cell of these alone is empty."""
VALUE_CHARACTERS_MAX = 80
"""What is shown of a cell or header in a problem."""
LETTERS = 26

_SURROGATES = re.compile("[\\ud800-\\udfff]")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one thing, and what to do about it; where it stands is added later."""

    rule: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Merged:
    """A block of merged cells; rows and columns count from 1, both ends are inside."""

    first_row: int
    first_column: int
    last_row: int
    last_column: int

    def holds(self, row: int, column: int) -> bool:
        """Say whether a cell is part of the block."""
        rows = self.first_row <= row <= self.last_row
        return rows and self.first_column <= column <= self.last_column

    def __str__(self) -> str:
        """Name the block as a spreadsheet does, `B4:B9`."""
        first = f"{letters(self.first_column)}{self.first_row}"
        return f"{first}:{letters(self.last_column)}{self.last_row}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not empty."""

    number: int
    """As the person's program shows it, from 1."""
    cells: Sequence[str]
    """Text without surrounding white space; shorter than the header where the rest is empty."""

    def text(self, index: int) -> str:
        """Give a cell's text, empty where the row has no such cell."""
        return self.cells[index] if index < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one sheet, or of a whole CSV or JSON file, before its header is found."""

    name: str | None
    rows: Sequence[Row]
    merged: Sequence[Merged] = ()
    more: bool = False
    """Whether rows were left unread because there are too many."""
    header_first: bool = False
    """Whether the first row is the header for certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A sheet whose header is known."""

    file: str
    sheet: str | None
    header_row: int
    """0 where the file has no row for it."""
    header: Sequence[str]
    rows: Sequence[Row]
    merged: Sequence[Merged] = ()
    spreadsheet: bool = False
    """Whether empty cells may be formulas without a saved result."""
    remarks: Sequence[Fault] = field(default_factory=tuple)
    """Warnings about the file as a whole."""


def listed(words: str) -> tuple[str, ...]:
    """Split a list of words at its commas."""
    return tuple(word.strip() for word in words.split(","))


def letters(column: int) -> str:
    """Name a column as a spreadsheet does: 1 is A, 27 is AA."""
    name = ""
    while column > 0:
        column, rest = divmod(column - 1, LETTERS)
        name = chr(ord("A") + rest) + name
    return name


def cell(text: str) -> str:
    """Make a cell of what a file holds: nothing around it, nothing that UTF-8 cannot write."""
    text = text.strip()
    if text.isascii() and text.isprintable():
        return text
    if not INVISIBLE.sub("", text).strip():
        return ""
    return _SURROGATES.sub("\ufffd", text)


def visible(text: str) -> str:
    """Give the text in one line, in composed characters, without those that take no room."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text
    spaced = _SPACES.sub(" ", unicodedata.normalize("NFC", text))
    return INVISIBLE.sub("", spaced).strip()


def shortened(text: str) -> str:
    """Cut a text to what a problem shows."""
    if len(text) <= VALUE_CHARACTERS_MAX:
        return text
    return f"{text[: VALUE_CHARACTERS_MAX - 1]}…"


def unreadable(file: str, rule: str, problem: str, remedy: str) -> Refused:
    """Refuse a file as a whole; raise what this gives."""
    return Refused(ManifestUnreadable(file=file, rule=rule, problem=problem, remedy=remedy))
