"""Workbooks, read by the program that reads them: sheets, cells, and files that would do harm."""

import zipfile
from datetime import UTC, date, datetime
from io import BytesIO

import openpyxl
import pytest

from services.template.store import reader
from tests.unit.template.tables import found, judge, ods, read, refusal, saved, xlsx, zipped

HEADER = ("Sample ID", "Type", "Storage")
ROW = ("S-1", "Blood", 4)
FILE = "manifest.xlsx"
DAY = date(2026, 1, 2)
MORNING = datetime(2026, 1, 2, 8, 15, tzinfo=UTC)


def two_sheets(first: str = "Blood", second: str = "RNA") -> openpyxl.Workbook:
    """Make a workbook with two sheets that both are manifests of one sample."""
    book = openpyxl.Workbook()
    for name in (first, second):
        sheet = book.create_sheet(name)
        sheet.append(list(HEADER))
        sheet.append([f"{name}-1", "Blood", 4])
    del book["Sheet"]
    return book


def test_a_workbook_is_read_whatever_its_name_says() -> None:
    """The content counts; the sheet is named in what is said."""
    judged = judge(xlsx(HEADER, ROW, ("S-2", "Goo", 4)), file="samples.csv")

    assert [row.number for row in judged.rows] == [2]
    assert found(judged.problems) == [(3, "Type", "sample_type.unheard")]
    assert judged.problems[0].sheet == "Samples"


def test_an_opendocument_spreadsheet_is_read() -> None:
    """ODS is as good as XLSX."""
    judged = judge(ods(HEADER, ("S-1", "Blood", "4")), file="manifest.ods")

    assert [row.details.barcode for row in judged.rows] == ["S-1"]


@pytest.mark.parametrize("cell", [DAY, datetime(2026, 1, 2, tzinfo=UTC), MORNING, 46024, 46024.5])
def test_dates_and_serial_numbers_are_days(cell: date | float) -> None:
    """A real date, with or without a time, and the number that it is inside are the same day."""
    # A workbook knows no time zones.
    local = cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell

    judged = judge(xlsx((*HEADER, "Collected"), (*ROW, local)), file=FILE)

    assert [row.details.collected_on for row in judged.rows] == [DAY]


def test_numbers_are_shown_as_a_spreadsheet_shows_them() -> None:
    """Whole numbers have no point, long ones are told to have lost their digits."""
    judged = judge(
        xlsx(
            HEADER, (12345, "Blood", -80.0), (1234567890123456789, "Blood", 4), (True, "Blood", 4)
        ),
        file=FILE,
    )

    assert [row.details.barcode for row in judged.rows] == ["12345", "TRUE"]
    assert found(judged.problems) == [(3, "Sample ID", "barcode.scientific")]


def test_a_merged_cell_is_named_where_a_value_is_missing() -> None:
    """A block of merged cells has its value in the first one only."""
    book = openpyxl.load_workbook(BytesIO(xlsx(HEADER, ROW, ("S-2", None, 4))))
    book["Samples"].merge_cells("B2:B3")

    judged = judge(saved(book), file=FILE)

    assert found(judged.problems) == [(3, "Type", "sample_type.missing")]
    assert "merged block B2:B3" in judged.problems[0].remedy


def test_a_formula_without_a_result_is_hinted_at() -> None:
    """A workbook that no program has calculated has formulas and no values."""
    judged = judge(xlsx(HEADER, ("S-1", "=B9", 4)), file=FILE)

    assert found(judged.problems) == [(2, "Type", "sample_type.missing")]
    assert "formula" in judged.problems[0].remedy


def test_a_table_may_stand_anywhere_on_its_sheet() -> None:
    """Rows and columns before it shift no number and no letter."""
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    sheet["C5"], sheet["D5"], sheet["E5"] = HEADER
    sheet["C8"], sheet["D8"], sheet["E8"] = ROW
    sheet["G8"] = "stray"

    judged = judge(saved(book), file=FILE)

    assert found(judged.problems) == [(8, "G", "row.stray_cell")]


def test_empty_rows_at_the_end_are_no_rows() -> None:
    """Cells that were formatted or hold spaces only are not samples."""
    judged = judge(xlsx(HEADER, ROW, (" ", None, ""), ("\u200b", " ", None)), file=FILE)

    assert (len(judged.rows), judged.rejected) == (1, 0)


def test_the_sheet_that_looks_like_a_manifest_is_read() -> None:
    """Instructions on the first sheet mislead nobody."""
    book = two_sheets("Read me", "Samples")
    book["Read me"]["A1"] = book["Read me"]["B1"] = "How to fill this"

    table = read(saved(book), file=FILE)

    assert table.sheet == "Samples"
    assert table.remarks == ()


def test_a_second_sheet_with_samples_is_not_lost_unseen() -> None:
    """Only one sheet is read, and a warning names the other."""
    judged = judge(saved(two_sheets()), file=FILE)

    assert [row.details.name for row in judged.rows] == ["Blood-1"]
    assert found(judged.warnings) == [(None, None, "sheet.unread")]
    assert "sheet=RNA" in judged.warnings[0].remedy


def test_a_sheet_can_be_named() -> None:
    """Case and spaces do not matter, and a hidden sheet that is named is read."""
    book = two_sheets()
    book["RNA"].sheet_state = "hidden"

    assert read(saved(book), file=FILE, sheet=" rna ").sheet == "RNA"
    assert read(saved(book), file=FILE).remarks == ()


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are() -> None:
    """A person chooses among the names."""
    refused = refusal(saved(two_sheets()), file=FILE, sheet="DNA")

    assert refused.rule == "sheet.not_found"
    assert "Blood, RNA" in refused.remedy


def test_an_empty_workbook_is_refused() -> None:
    """A sheet without cells is empty."""
    assert refusal(saved(openpyxl.Workbook()), file=FILE).rule == "file.empty"


def test_a_workbook_with_too_many_rows_is_refused() -> None:
    """Rows are counted up to the bound only."""
    rows = ((f"S-{n}", "Blood", 4) for n in range(10_050))

    assert refusal(xlsx(HEADER, *rows), file=FILE).rule == "rows.too_many"


def test_a_damaged_workbook_is_refused() -> None:
    """Half a file, or a ZIP that only looks like a workbook, is said to be damaged."""
    whole = xlsx(HEADER, ROW)

    assert refusal(whole[: len(whole) // 2], file=FILE).rule in {"workbook.damaged", "file.kind"}
    assert refusal(zipped({"xl/workbook.xml": "<w/>"}), file=FILE).rule == "workbook.damaged"
    assert refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000)).rule == "workbook.damaged"


def test_one_cell_far_out_does_not_take_the_service_along() -> None:
    """The last cell of a sheet asks for half a terabyte: only its reader dies of it."""
    book = openpyxl.load_workbook(BytesIO(xlsx(HEADER, ROW)))
    book["Samples"].cell(1_048_576, 16_384, value="far out")

    refused = refusal(saved(book), file=FILE)

    assert refused.rule == "workbook.too_large"
    assert "Ctrl+End" in refused.remedy


def test_a_file_that_unpacks_without_end_does_not_take_the_service_along() -> None:
    """A cell of 768 megabytes in less than one is refused within the reader's bounds."""
    packed = BytesIO()
    source = zipfile.ZipFile(BytesIO(xlsx(HEADER, ROW)))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            if name != "xl/worksheets/sheet1.xml":
                bomb.writestr(name, source.read(name))
        with bomb.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(b'<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>')
            for _ in range(768):
                part.write(b"a" * 2**20)
            part.write(b"</t></is></c></row></sheetData></worksheet>")

    assert refusal(packed.getvalue(), file=FILE).rule == "workbook.too_large"


def test_a_reader_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the reader is bounded."""
    monkeypatch.setattr(reader, "READ_SECONDS_MAX", 0.0)

    assert refusal(xlsx(HEADER, ROW), file=FILE).rule == "workbook.too_large"
