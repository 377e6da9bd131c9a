"""What a file is, judged by its content first and by its name last.

A PDF that is called `samples.csv` is a PDF. Nothing is decoded here.
"""

from enum import StrEnum
from typing import Final

from services.template.domain.table import unreadable

TAKEN: Final = "Save the table as XLSX or CSV and submit that."
PEEK_BYTES = 4_096


class Kind(StrEnum):
    """How a file must be read."""

    WORKBOOK = "workbook"
    """XLSX, XLSM, XLSB, XLS or ODS."""
    JSON = "json"
    TEXT = "text"
    """CSV and its relatives."""


_FOREIGN: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"{\\rtf", "an RTF document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
_MARKUP: Final[tuple[bytes, ...]] = (b"<!doctype html", b"<html", b"<?xml", b"<table")
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SPREADSHEET_PARTS: Final = (b"xl/workbook", b"vnd.oasis.opendocument.spreadsheet")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_NOTHING: Final = b"\xef\xbb\xbf \t\r\n\0,;|"
"""A file of these alone, marks and separators, is empty."""
_UTF8_BOM: Final = b"\xef\xbb\xbf"


def kind_of(file: str, data: bytes) -> Kind:
    """Say how to read a file.

    Raises:
        Refused: it is empty, or nothing that can hold a manifest; what it is, is named.
    """
    start = data[:PEEK_BYTES].removeprefix(_UTF8_BOM).lstrip()
    if not data.strip(_NOTHING):
        raise unreadable(
            file, "file.empty", "The file is empty.", "Choose the file that holds the samples."
        )
    for judge in (_foreign, _archive, _markup):
        what = judge(data, start)
        if what is not None:
            raise unreadable(file, "file.kind", f"This is {what}, not a table.", TAKEN)
    if data.startswith((_ZIP, _OLE)):
        return Kind.WORKBOOK
    if start.startswith((b"[", b"{")) or file.casefold().endswith(".json"):
        return Kind.JSON
    if b"\0" in start and not data.startswith(_UTF16):
        raise unreadable(file, "file.kind", "This is binary data, not a table.", TAKEN)
    return Kind.TEXT


def _foreign(data: bytes, _start: bytes) -> str | None:
    return next((what for magic, what in _FOREIGN if data.startswith(magic)), None)


def _archive(data: bytes, _start: bytes) -> str | None:
    if data.startswith(_EMPTY_ZIP):
        return "an empty ZIP archive"
    if not data.startswith(_ZIP) or any(part in data for part in _SPREADSHEET_PARTS):
        return None
    return "a Word document" if b"word/document" in data else "a ZIP archive"


def _markup(_data: bytes, start: bytes) -> str | None:
    lower = start[:64].lower()
    if not lower.startswith(_MARKUP):
        return None
    return "an XML document" if lower.startswith(b"<?xml") else "a web page"
