"""Files that should not be, and clients that go away: refused with a remedy, or read right."""

import asyncio
import datetime as dt
import io
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import openpyxl
import psutil
import pytest
import pytest_asyncio

from contracts.sample import ListSamples, SampleView
from contracts.transaction import ListTransactions, TransactionStatus
from infra.clock import SYSTEM
from services.cli.exits import Exit
from tests.fixtures.cli import run_cli
from tests.fixtures.manifests import HEADERS, csv, manifest, rows, save, xlsx
from tests.fixtures.system import SUBMISSIONS, Whole, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("wrong-input")]

MEBIBYTE = 1024 * 1024
UPLOAD_MEBIBYTES = 200
GROWTH_MEBIBYTES_MAX = 60
"""What a refused upload may leave in the edge's memory: less than a third of the upload."""
PART_HEAD = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="big.csv"\r\n'
    b"Content-Type: text/csv\r\n\r\n"
)
DATED = ("Sample_ID", "Sample_Type", "Storage_Temp", "Collection_Date")
UNREADABLE = "template.manifest_unreadable"
INVALID = "template.manifest_invalid"


def merged() -> bytes:
    """Give a workbook in which three rows share one cell."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (HEADERS, *rows("MERGED", 3)):
        sheet.append(list(row))
    sheet.merge_cells("B2:B4")
    return save(book)


def formula(cached: str) -> bytes:
    """Give a workbook whose sample id is a formula, with what was calculated of it."""
    book = openpyxl.load_workbook(io.BytesIO(xlsx(rows("FORMULA", 1))))
    book.worksheets[0]["A2"] = '="FORMULA-"&"9"'
    plain = io.BytesIO(save(book))
    changed = io.BytesIO()
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "xl/worksheets/sheet1.xml":
                empty = b'<c r="A2"><f>"FORMULA-"&amp;"9"</f><v></v></c>'
                assert empty in content or b"<v />" in content
                content = content.replace(b"<v />", b"<v></v>")
                full = empty.replace(b'r="A2"', b'r="A2" t="str"')
                full = full.replace(b"<v></v>", f"<v>{cached}</v>".encode())
                content = content.replace(empty, full)
            after.writestr(name, content)
    return changed.getvalue()


@dataclass(frozen=True)
class Wrong:
    """A file, and what is said of it."""

    name: str
    content: bytes
    code: str
    says: tuple[str, ...]
    """Parts of the detail, or of field, value, problem and remedy of the first error."""


CASES = [
    Wrong("empty.csv", b"", UNREADABLE, ("The file is empty", "Choose the file")),
    Wrong("no-rows.csv", csv([]), UNREADABLE, ("no samples below it", "Write one row")),
    Wrong("many.csv", manifest("MANY", 10_001), UNREADABLE, ("10,001 rows", "Split it")),
    Wrong(
        "pdf.csv",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type /Catalog>>\nendobj\n%%EOF\n",
        UNREADABLE,
        ("This is a PDF document", "Save the table as XLSX or CSV"),
    ),
    Wrong(
        "merged.xlsx", merged(), INVALID, ("Sheet!3:Sample_Type", "missing", "merged block B2:B4")
    ),
    Wrong(
        "uncalculated.xlsx",
        formula(""),
        INVALID,
        ("Sheet!2:Sample_ID", "missing", "formula that was never calculated"),
    ),
    Wrong(
        "either-way.csv",
        csv([("EITHER-1", "DNA", "-20", "03/04/2026")], DATED),
        INVALID,
        ("2:Collection_Date", "03/04/2026", "2026-04-03 or 2026-03-04", "DD/MM/YYYY"),
    ),
    Wrong(
        "no-such-day.csv",
        csv([("NODAY-1", "DNA", "-20", "2026-02-30")], DATED),
        INVALID,
        ("2:Collection_Date", "2026-02-30", "no such day", "year-month-day"),
    ),
    Wrong(
        "header-twice.csv",
        csv([("DUP-1", "DNA", "-20", "5", "6")], (*HEADERS, "Volume_uL")),
        INVALID,
        ("1:Volume_uL", "column D", "column E", "Keep one of them"),
    ),
    Wrong(
        "two-aliases.csv",
        csv([("ALIAS-1", "DNA", "-20", "5", "6")], (*HEADERS, "vol")),
        INVALID,
        ("1:vol", "'Volume_uL' (column D)", "both mean the volume", "rename the other"),
    ),
    Wrong(
        "negative.csv",
        csv([("NEG-1", "DNA", "-20", "-5")]),
        INVALID,
        ("2:Volume_uL", "-5", "more than 0", "Measure the tube again"),
    ),
    Wrong(
        "dense.csv",
        csv([("DENSE-1", "DNA", "-20", "1e9")], (*HEADERS[:3], "Conc (ng/µL)")),
        INVALID,
        ("2:Conc (ng/µL)", "1e9", "at most 100,000 ng/µL", "Check the number and its unit"),
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Whole]:
    """Give a system of separate processes, so that the edge's memory is its own."""
    async with whole_system(tmp_path_factory.mktemp("wrong"), isolated=True) as whole:
        yield whole


async def samples(whole: Whole) -> list[SampleView]:
    """List every sample that was ever registered and not withdrawn."""
    query = ListSamples(page_size=1_000, min_seq=await whole.head("sample"))
    return (await whole.edge.ask(query)).items


@pytest.mark.parametrize("wrong", CASES, ids=[case.name for case in CASES])
async def test_a_wrong_file_is_refused_with_cell_and_remedy(whole: Whole, wrong: Wrong) -> None:
    """422 problem details that a person can act on, and no entry more in the samples' log."""
    before = await whole.head("sample")
    answer = await whole.submit(wrong.name, wrong.content, wait=True)

    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (422, wrong.code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["transaction_status"] == TransactionStatus.COMPENSATED
    assert "Nothing was registered" in problem["detail"]
    said = problem["detail"] if wrong.code == UNREADABLE else f"{problem['errors'][0]}"
    assert [part for part in wrong.says if part not in said] == []
    assert await whole.head("sample") == before


async def test_the_command_line_says_what_is_wrong_too(whole: Whole, tmp_path: Any) -> None:  # noqa: ANN401 - a path
    """It exits with 1 and shows the same problem, as JSON where asked."""
    file = tmp_path / "cli.csv"
    file.write_bytes(csv([("CLI-1", "DNA", "-20", "-5")]))
    ended = await run_cli("submit", str(file), "--data", str(whole.info.data), "--json")
    assert ended.code == Exit.REFUSED
    assert "template.manifest_invalid" in ended.out + ended.err
    assert "2:Volume_uL" in ended.out + ended.err


async def test_what_looks_odd_and_is_right_is_taken(whole: Whole) -> None:
    """Dates as text, as cells and as Excel's numbers, and formulas with a result, are read."""
    table = [
        ("ODD-1", "DNA", "-20", "2026-03-04"),
        ("ODD-2", "DNA", "-20", dt.date(2026, 3, 4)),
        ("ODD-3", "DNA", "-20", 46_085),
        ("ODD-4", "DNA", "-20", "4 Mar 2026"),
    ]
    for name, content in (("dates.xlsx", xlsx(table, DATED)), ("f.xlsx", formula("FORMULA-9"))):
        view = await whole.take(name, content)
        assert view.status is TransactionStatus.COMPLETED, view.failure

    found = {sample.details.barcode: sample.details for sample in await samples(whole)}
    assert "FORMULA-9" in found
    assert [found[f"ODD-{n}"].collected_on for n in range(1, 5)] == [dt.date(2026, 3, 4)] * 4


async def test_an_invisible_character_is_no_part_of_a_barcode(whole: Whole) -> None:
    """A zero-width space from a scanner is left out, also where it would make a second barcode."""
    view = await whole.take("space.csv", csv([("ZERO\u200b-1", "DNA", "-20", "5")]))
    assert view.status is TransactionStatus.COMPLETED
    assert "ZERO-1" in {sample.details.barcode for sample in await samples(whole)}
    again = await whole.submit("plain.csv", csv([("ZERO-1", "DNA", "-20", "6")]), wait=True)
    assert again.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "ZERO-1" in again.text


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_an_upload_that_is_too_large_is_refused_unread(whole: Whole, declared: bool) -> None:  # noqa: FBT001 - a case
    """200 MB get 413 with the bound, and the edge's memory does not grow by what was sent."""
    pid = whole.info.children["edge"]
    edge = psutil.Process(pid)
    before = edge.memory_info().rss
    grown: list[int] = []

    async def content() -> AsyncIterator[bytes]:
        yield PART_HEAD
        for _ in range(UPLOAD_MEBIBYTES):
            yield b"a" * MEBIBYTE
            grown.append(edge.memory_info().rss - before)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if declared:
        headers["Content-Length"] = str(UPLOAD_MEBIBYTES * MEBIBYTE + len(PART_HEAD))
    answer = await whole.http.post(SUBMISSIONS, content=content(), headers=headers)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "request.too_large")
    assert problem["size_bytes_max"] < UPLOAD_MEBIBYTES * MEBIBYTE
    assert len(grown) == UPLOAD_MEBIBYTES
    assert max(grown) < GROWTH_MEBIBYTES_MAX * MEBIBYTE


async def test_a_client_that_goes_away_has_submitted_all_the_same(whole: Whole) -> None:
    """It hangs up while it waits for the end: the manifest is stored, once."""
    content = manifest("GONE", 3)
    waiting = asyncio.create_task(whole.submit("gone.csv", content, wait=True))
    await until_taken(whole, "gone.csv")
    waiting.cancel()
    await asyncio.wait({waiting})

    view = await whole.take("gone.csv", content)
    assert view.status is TransactionStatus.COMPLETED
    mine = [s for s in await samples(whole) if s.details.barcode.startswith("GONE-")]
    assert len(mine) == 3


async def until_taken(whole: Whole, name: str) -> None:
    """Wait until a file's transaction has begun."""
    async with asyncio.timeout(60):
        while True:
            page = await whole.edge.ask(ListTransactions(page_size=1))
            if page.items and (await is_of(whole, str(page.items[0].transaction_id), name)):
                return
            await SYSTEM.sleep(0.005)


async def is_of(whole: Whole, transaction_id: str, name: str) -> bool:
    """Say whether a transaction is about a file."""
    history = await whole.http.get(f"/api/v1/transactions/{transaction_id}/history")
    return f'"{name}"' in history.text
