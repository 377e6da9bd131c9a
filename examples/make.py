"""Make the example manifests beside this file, the same bytes every time.

Run `python examples/make.py` after a change; a test sees to it that they are what this makes.
"""

# ruff: noqa: INP001 - a script, not a module

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl

HERE = Path(__file__).parent
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)

HEADER = (
    *("Sample_ID", "Patient_ID", "Sample_Type", "Collection_Date", "Submitter", "Department"),
    *("Priority", "Analysis_Type", "Storage_Temp", "Volume_uL", "Concentration_ng_uL"),
    *("Quality_Score", "Notes"),
)
Cell = str | int | float | date
MATERIALS = (
    ("Whole blood", "4", 500, ""),
    ("gDNA", "-20", 50, 125.5),
    ("RNA", "-80", 30, 88.25),
    ("Plasma", "-80", 200, ""),
    ("Saliva", "-20", 750, ""),
)
SUBMITTERS = (("A. Curie", "Oncology"), ("L. Meitner", "Cardiology"), ("C. Ørsted", "Genetics"))
ANALYSES = ("WGS", "WES", "RNA-Seq", "Targeted Panel")
PRIORITIES = ("normal", "normal", "high", "urgent")


def samples(prefix: str, count: int) -> list[list[Cell]]:
    """Give valid rows of mixed materials."""
    return [_sample(prefix, number) for number in range(1, count + 1)]


def _sample(prefix: str, number: int) -> list[Cell]:
    material, zone, volume, concentration = MATERIALS[number % len(MATERIALS)]
    submitter, department = SUBMITTERS[number % len(SUBMITTERS)]
    return [
        f"{prefix}-{number:04}",
        f"P-{100 + number // 2:04}",
        material,
        date(2026, 1, 5) + timedelta(days=number),
        submitter,
        department,
        PRIORITIES[number % len(PRIORITIES)],
        ANALYSES[number % len(ANALYSES)],
        zone,
        volume + number,
        concentration,
        round(7 + number % 30 / 10, 1),
        "second draw" if number % 7 == 0 else "",
    ]


def bad_rows() -> list[list[Cell]]:
    """Give twelve rows, seven of them with something wrong, each in another way."""
    rows = samples("BAD", 12)
    rows[1][9] = "-5"  # a negative volume
    rows[3][2] = "RNNA"  # no such material
    rows[4][10] = "1e9"  # ng/µL
    rows[6][0] = "bad-0006"  # the same barcode as the row above
    rows[8][3] = "03/04/2026"  # one of two days
    rows[10][0] = ""  # nothing to call it
    return rows


def no_room() -> list[list[Cell]]:
    """Give forty rows of RNA for -80 °C: more than the demonstration's freezer has left."""
    rows = samples("ULT", 40)
    for row in rows:
        row[2], row[8], row[9], row[10] = "RNA", "-80 °C", 25, 60
    return rows


def as_csv(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write a table as CSV in UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    return text.getvalue().encode()


def as_xlsx(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Write a table as a workbook whose bytes depend on nothing else."""
    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = MADE_AT
    sheet = book.create_sheet("Samples", 0)
    del book["Sheet"]
    for row in (HEADER, *rows):
        sheet.append([value if value != "" else None for value in row])
    written = io.BytesIO()
    book.save(written)
    return _without_times(written.getvalue())


def _without_times(workbook: bytes) -> bytes:
    """Pack a workbook anew, without the times at which its parts were written."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = _core(content)
            info = zipfile.ZipInfo(name, MADE_AT.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, content)
    return packed.getvalue()


def _core(content: bytes) -> bytes:
    """Take the time of saving out of the properties: the library writes it in any case."""
    before, tag, rest = content.partition(b"<dcterms:modified")
    _, end, after = rest.partition(b"</dcterms:modified>")
    return before + after if tag and end else content


def contents() -> dict[str, bytes]:
    """Give every example by its file name."""
    return {
        "manifest-20.csv": as_csv(samples("LAB", 20)),
        # Other samples than the CSV's: both can be submitted to the same laboratory.
        "manifest-20.xlsx": as_xlsx(samples("XLS", 20)),
        "manifest-bad-rows.csv": as_csv(bad_rows()),
        "manifest-no-room.csv": as_csv(no_room()),
    }


def main() -> None:
    """Write every example."""
    for name, content in contents().items():
        (HERE / name).write_bytes(content)


if __name__ == "__main__":
    main()
