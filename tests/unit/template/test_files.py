"""Files as they come: what they are, how they are written, where the table stands in them."""

import json
from pathlib import Path

import pytest

from contracts.template import ROWS_MAX
from tests.unit.template.tables import found, judge, read, refusal, zipped

DATA = Path(__file__).parents[2] / "data" / "manifests"
HEADER = "Sample ID,Type,Storage"
ROW = "S-1,Blood,4"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n...", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n...", "a PNG picture"),
        (b"\xff\xd8\xff\xe0....", "a JPEG picture"),
        (b"\x1f\x8b\x08\x00...", "a gzip archive"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"  <table><tr><td>Sample ID</td>", "a web page"),
        (b"<?xml version='1.0'?><rows/>", "an XML document"),
        (b"Sample ID\0\0\0\x01\x02", "binary data"),
        (zipped({"readme.txt": "hello"}), "a ZIP archive"),
        (zipped({"word/document.xml": "<w/>"}), "a Word document"),
        (zipped({}), "an empty ZIP archive"),
    ],
)
def test_a_file_that_is_no_table_is_named_for_what_it_is(data: bytes, what: str) -> None:
    """The content counts, whatever the name says."""
    refused = refusal(data, file="samples.csv")

    assert refused.rule == "file.kind"
    assert what in refused.problem
    assert "XLSX or CSV" in refused.remedy


@pytest.mark.parametrize("data", [b"", b" \r\n\t", b"\xef\xbb\xbf", b",,,\n,,\n;;"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    """Nothing, white space, a mark alone, or separators alone."""
    assert refusal(data).rule == "file.empty"


def test_a_header_without_rows_is_refused() -> None:
    """No rows are no manifest; empty rows are none."""
    assert refusal(f"{HEADER}\n,,\n \n").rule == "rows.none"


def test_as_many_rows_as_the_bound_are_taken_and_one_more_is_refused() -> None:
    """The bound is on rows with something in them."""
    rows = "\n".join(f"S-{n},Blood,4" for n in range(ROWS_MAX))

    assert len(read(f"{HEADER}\n{rows}\n\n\n").rows) == ROWS_MAX
    refused = refusal(f"{HEADER}\n{rows}\nS-X,Blood,4\n")
    assert refused.rule == "rows.too_many"
    assert "10,001 rows" in refused.problem


def test_a_file_with_endless_rows_is_not_read_to_its_end() -> None:
    """Beyond the bound it only matters that there are too many."""
    assert "more than 10,000" in refusal(f"{HEADER}\n" + f"{ROW}\n" * 30_000).problem


def test_a_header_of_endless_columns_is_refused() -> None:
    """A table of a thousand columns is no manifest."""
    assert refusal(",".join(map(str, range(1000))) + f"\n{ROW}\n").rule == "header.too_wide"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_usual_form_of_csv_is_read(separator: str, line_end: str, encoding: str) -> None:
    """Separators, line ends and encodings are recognised."""
    text = line_end.join(["Sample ID,Type,Notes", "S-1,Blood,Ørsted µ", "S-2,DNA,"])
    text = text.replace(",", separator)
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""

    table = read(mark + text.encode(encoding))

    assert list(table.header) == ["Sample ID", "Type", "Notes"]
    assert [list(row.cells) for row in table.rows] == [["S-1", "Blood", "Ørsted µ"], ["S-2", "DNA"]]
    assert table.remarks == ()


def test_the_separator_is_the_one_that_makes_sense_of_the_header() -> None:
    """Commas inside the cells of a table with semicolons mislead nobody."""
    table = read("Notes, if any;Sample ID;Type\na, b, c, d;S-1;Blood\n")

    assert list(table.header) == ["Notes, if any", "Sample ID", "Type"]


def test_a_declared_separator_is_taken_and_keeps_the_line_numbers() -> None:
    """The line `sep=;` that Excel writes is line 1."""
    table = read("sep=;\nSample ID;Type\nS-1;Blood\n")

    assert (table.header_row, table.rows[0].number) == (2, 3)


def test_text_that_is_not_utf8_is_read_as_windows_text_and_said_so() -> None:
    """An old export keeps its accents, with a warning that names the line."""
    judged = judge(f"{HEADER},Submitter\n{ROW},Bjørn Ångström\n".encode("latin-1"))

    assert judged.rows[0].details.submitter == "Bjørn Ångström"
    assert found(judged.warnings) == [(None, None, "file.encoding_guessed")]
    assert "line 2" in judged.warnings[0].problem


def test_text_that_breaks_the_encoding_it_declares_is_refused() -> None:
    """A mark for UTF-8 and then something else is damage, not an old encoding."""
    assert refusal(b"\xef\xbb\xbfSample ID\n\xff\xff\n").rule == "file.encoding"


def test_rows_have_the_numbers_of_their_first_lines() -> None:
    """Empty rows and line ends inside quotes shift nothing."""
    table = read('Title\n\nSample ID,Type,Notes\nS-1,Blood,"two\nlines"\n\n,,\nS-2,Blood,\n\n\n')

    assert table.header_row == 3
    assert [row.number for row in table.rows] == [4, 8]
    assert table.rows[0].cells[2] == "two\nlines"


def test_other_separators_of_unicode_end_no_row() -> None:
    """A line separator pasted from a web page stays in its cell."""
    table = read("Sample ID,Notes\nS-1,a\u2028b\x0bc\nS-2,d\n")

    assert [row.number for row in table.rows] == [2, 3]


def test_titles_above_the_header_are_skipped() -> None:
    """The header is the row that names most columns."""
    table = read("Department of Samples\nContact,me\n\nSample ID,Type,Contact\nS-1,Blood,you\n")

    assert list(table.header) == ["Sample ID", "Type", "Contact"]
    assert table.header_row == 4


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f'{HEADER}\n{ROW}\n"S-2,Blood,4\nS-3,Blood,4\n', "after line 2"),
        (f'"{HEADER}\n{ROW}\n', "in the first row"),
        (f'{HEADER}\n{ROW}\n"S-2"x,Blood,4\n', "after line 2"),
    ],
)
def test_quotes_that_do_not_match_are_refused_with_their_place(text: str, where: str) -> None:
    """An open quote would swallow every row below it."""
    refused = refusal(text)

    assert refused.rule == "csv.quotes"
    assert where in refused.problem


def test_a_cell_that_excel_forced_to_be_text_is_read_as_that_text() -> None:
    """`="00123"` keeps its zeros."""
    assert read('Sample ID,Type\n="00123",Blood\n').rows[0].cells[0] == "00123"


def test_a_list_of_json_objects_is_a_manifest() -> None:
    """Each object is a row, numbered from 1; numbers keep their digits."""
    objects = [
        {"sample_id": "S-1", "sample_type": "DNA", "storage": -20, "volume_ul": 5},
        {"sample_type": "RNA", "sample_id": "S-2", "storage": None, "notes": "x\ud800"},
    ]
    text = json.dumps(objects).replace(" 5}", " 5.10}")

    judged = judge(text, file="samples.json")

    assert [row.number for row in judged.rows] == [1, 2]
    assert str(judged.rows[0].details.volume_ul) == "5.1000"
    assert judged.rows[1].details.notes == "x\ufffd"
    assert found(judged.warnings) == [(2, "storage", "storage_temperature.assumed")]


def test_a_json_object_with_a_list_of_samples_is_a_manifest() -> None:
    """The list may stand under `samples`."""
    assert len(judge('{"samples": [{"id": "S-1", "type": "DNA", "temp": "RT"}]}').rows) == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[{"id": "S-1"}', "json.syntax"),
        ("sample", "json.syntax"),
        ('{"rows": 5}', "json.shape"),
        ('{"other": []}', "json.shape"),
        ('["S-1"]', "json.shape"),
        ("[]", "rows.none"),
        ('[{"id": "S-1", "id": "S-2"}]', "json.key_twice"),
        ("[" * 100_000, "json.depth"),
        (json.dumps([{f"k{n}": 1} for n in range(1000)]), "header.too_wide"),
    ],
)
def test_json_that_is_no_list_of_objects_is_refused(text: str, rule: str) -> None:
    """What is wrong with it is said, with its place where there is one."""
    assert refusal(text, file="samples.json").rule == rule


def test_a_header_of_a_json_file_has_no_row() -> None:
    """Keys stand in no row of their own."""
    assert found(judge('[{"id": "S-1"}]').problems) == [(None, None, "header.missing")]


def test_a_sheet_can_only_be_named_of_a_workbook() -> None:
    """A CSV file has none, and that is said rather than ignored."""
    refused = refusal(f"{HEADER}\n{ROW}\n", sheet="Samples")

    assert refused.rule == "sheet.not_found"
    assert "no sheets" in refused.remedy


@pytest.mark.parametrize(
    ("name", "accepted", "problems", "warnings"),
    [
        ("german-latin1-semicolon.csv", 3, [], [(None, None, "file.encoding_guessed")]),
        ("predecessor.csv", 2, [], []),
        (
            "minimal.csv",
            2,
            [(4, "Concentration", "concentration.molar")],
            [(None, None, "storage_temperature.assumed")] * 2,
        ),
        ("utf16-tab.txt", 2, [], [(4, "Sample", "barcode.changed")]),
        (
            "clinic-with-title.csv",
            2,
            [
                (6, "Specimen ID", "barcode.characters"),
                (8, "Vol. (µL)", "volume.positive"),
                (10, "Collected (DD/MM/YYYY)", "collected_on.future"),
            ],
            [(5, "Room", "header.unknown"), (9, "Material", "sample_type.generalised")],
        ),
    ],
)
def test_manifests_as_laboratories_send_them(
    name: str,
    accepted: int,
    problems: list[tuple[int | None, str | None, str]],
    warnings: list[tuple[int | None, str | None, str]],
) -> None:
    """Files of the kinds that come are read as a person would read them."""
    judged = judge((DATA / name).read_bytes(), file=name)

    assert len(judged.rows) == accepted
    assert found(judged.problems) == problems
    assert found(judged.warnings) == warnings
