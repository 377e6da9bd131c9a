"""Names, notes and barcodes: cells that are kept as text."""

import re
from typing import Final

from contracts.types import normalise_barcode
from services.template.domain.table import Fault, visible

NAME_CHARACTERS_MAX = 255
NOTES_CHARACTERS_MAX = 2_000
BARCODE_CHARACTERS_MIN = 2
BARCODE_CHARACTERS_MAX = 50
ODD_CHARACTERS_NAMED_MAX = 5

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+[0-9]+")
_BARCODE: Final = re.compile(r"[A-Z0-9][A-Z0-9_.\-]*")


def sample_id(text: str, _hint: str) -> str | Fault:
    """Read a sample's name."""
    return _name("sample_id", text)


def subject_id(text: str, _hint: str) -> str | Fault:
    """Read a subject's pseudonym."""
    return _name("subject_id", text)


def submitter(text: str, _hint: str) -> str | Fault:
    """Read who sends a sample."""
    return _name("submitter", text)


def department(text: str, _hint: str) -> str | Fault:
    """Read where a sample comes from."""
    return _name("department", text)


def _name(what: str, text: str) -> str | Fault:
    line = visible(text)
    if len(line) <= NAME_CHARACTERS_MAX:
        return line
    words = what.replace("_", " ")
    return Fault(
        f"{what}.length",
        f"The {words} has {len(line)} characters; at most {NAME_CHARACTERS_MAX} are kept.",
        "Shorten it, and put the rest into the notes.",
    )


def notes(text: str, _hint: str) -> str | Fault:
    """Read free text; its lines are kept."""
    kept = _CONTROLS.sub("", text)
    if len(kept) <= NOTES_CHARACTERS_MAX:
        return kept
    return Fault(
        "notes.length",
        f"The notes have {len(kept)} characters; at most {NOTES_CHARACTERS_MAX} are kept.",
        "Shorten them.",
    )


def barcode(text: str, _hint: str) -> str | Fault:
    """Read a barcode as scanners and spreadsheets give it."""
    if _SCIENTIFIC.fullmatch(text):
        return Fault(
            "barcode.scientific",
            "The spreadsheet made a number of this barcode, and its last digits are lost.",
            "Format the column as text, and enter or scan the barcode again.",
        )
    code = str(normalise_barcode(text))
    if not BARCODE_CHARACTERS_MIN <= len(code) <= BARCODE_CHARACTERS_MAX:
        return Fault(
            "barcode.length",
            f"This has {len(code)} characters; a barcode has "
            f"{BARCODE_CHARACTERS_MIN} to {BARCODE_CHARACTERS_MAX}.",
            "Scan the tube again, or give it another label.",
        )
    return code if _BARCODE.fullmatch(code) else _odd(code)


def _odd(code: str) -> Fault:
    odd = [c for c in dict.fromkeys(code) if not _BARCODE.fullmatch(f"A{c}")]
    named = " ".join(odd[:ODD_CHARACTERS_NAMED_MAX])
    what = f"contains {named}" if odd else f"begins with {code[0]}"
    return Fault(
        "barcode.characters",
        f"This {what}; a barcode is made of A-Z, 0-9, '-', '_' and '.', "
        "and begins with a letter or digit.",
        "Use only these, on the tube and in the file; "
        "or add a column 'barcode' with what the tube's label says.",
    )
