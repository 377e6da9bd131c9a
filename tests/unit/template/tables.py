"""Manifests for tests: text, rows, workbooks; and what became of them in a few words."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date
from xml.sax.saxutils import escape

import openpyxl

from contracts.errors import Refused
from contracts.template import ManifestProblem, ManifestUnreadable
from services.template.domain.manifest import validate
from services.template.domain.table import Table
from services.template.domain.validation import Validation
from services.template.store import read_table

TODAY = date(2026, 11, 3)
FILE = "manifest.csv"

Cell = str | float | bool | date | None
Found = tuple[int | None, str | None, str]
"""Row, column and rule of a problem."""


def read(data: str | bytes, *, file: str = FILE, sheet: str | None = None) -> Table:
    """Read a manifest."""
    return read_table(file, data.encode() if isinstance(data, str) else data, sheet)


def judge(data: str | bytes, *, file: str = FILE, sheet: str | None = None) -> Validation:
    """Read and validate a manifest."""
    return validate(read(data, file=file, sheet=sheet), today=TODAY)


def judge_column(header: str, *cells: str) -> Validation:
    """Validate samples of blood at 4 °C of which one more column is known."""
    rows = [f"S-{n},Blood,4,{cell}" for n, cell in enumerate(cells, 1)]
    return judge("\n".join([f"sample_id,sample_type,storage_temperature,{header}", *rows]))


def refusal(data: str | bytes, *, file: str = FILE, sheet: str | None = None) -> ManifestUnreadable:
    """Read a manifest that cannot be read, and give what is said of it."""
    outcome = read_or_refusal(data, file=file, sheet=sheet)
    assert isinstance(outcome, ManifestUnreadable), f"it was read: {outcome}"
    return outcome


def read_or_refusal(
    data: str | bytes, *, file: str = FILE, sheet: str | None = None
) -> Table | ManifestUnreadable:
    """Read a manifest, or give what is said of it."""
    try:
        return read(data, file=file, sheet=sheet)
    except Refused as refused:
        if isinstance(refused.refusal, ManifestUnreadable):
            return refused.refusal
        raise


def found(problems: Iterable[ManifestProblem]) -> list[Found]:
    """Say where problems are, and which rule they are about."""
    return [(p.row, p.column, p.rule) for p in problems]


def xlsx(*rows: Sequence[Cell], sheet: str = "Samples") -> bytes:
    """Make a workbook of one sheet."""
    book = openpyxl.Workbook()
    page = book.create_sheet(sheet, 0)
    del book["Sheet"]
    for row in rows:
        page.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """Give the bytes of a workbook."""
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def ods(*rows: Sequence[str]) -> bytes:
    """Make an OpenDocument spreadsheet of one sheet, with text in every cell."""
    cells = "".join(
        f"<table:table-row>{''.join(_ods_cell(text) for text in row)}</table:table-row>"
        for row in rows
    )
    content = (
        '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
        'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2">'
        "<office:body><office:spreadsheet>"
        f'<table:table table:name="Samples">{cells}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<?xml version="1.0" encoding="UTF-8"?><manifest:manifest '
        'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        "</manifest:manifest>"
    )
    return zipped({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def _ods_cell(text: str) -> str:
    paragraph = f"<text:p>{escape(text)}</text:p>"
    return f'<table:table-cell office:value-type="string">{paragraph}</table:table-cell>'


def zipped(parts: dict[str, str]) -> bytes:
    """Make a ZIP archive; nothing in it is compressed."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return written.getvalue()
