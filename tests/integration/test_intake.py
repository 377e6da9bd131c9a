"""Manifests through the whole system, in one process: stored, refused, undone, repeated."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from contracts.notification import DeliveryState, ListNotifications, NotificationView
from contracts.sample import GetSampleByBarcode, ListSamples, SampleStatus, SampleView
from contracts.storage import (
    AddContainer,
    ContainerKind,
    GetCapacity,
    ListPositions,
    PositionState,
    SamplePosition,
)
from contracts.transaction import (
    StepStatus,
    SubmissionView,
    TransactionStatus,
    TransactionView,
)
from contracts.types import SubmissionId, Zone
from infra.clock import SYSTEM
from infra.http.client import EdgeRefusedError
from tests.fixtures.manifests import csv, manifest, rows, xlsx
from tests.fixtures.smtp import MailServer
from tests.fixtures.system import SUBMISSIONS, Whole, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("intake")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mails() -> AsyncGenerator[MailServer]:
    """Give a mail server that is started."""
    server = MailServer()
    await server.start()
    yield server
    await server.stop()
    server.let_go()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(
    tmp_path_factory: pytest.TempPathFactory, mails: MailServer
) -> AsyncGenerator[Whole]:
    """Give a system whose notifications go to the mail server; every test has its own barcodes."""
    told = {
        "TRACSEQ_NOTIFICATION_SMTP_HOST": "127.0.0.1",
        "TRACSEQ_NOTIFICATION_SMTP_PORT": str(mails.port),
        "TRACSEQ_NOTIFICATION_SMTP_STARTTLS": "false",
    }
    folder: Path = tmp_path_factory.mktemp("intake")
    async with whole_system(folder, told=told) as whole:
        yield whole


async def samples_of(whole: Whole, view: TransactionView) -> list[SampleView]:
    """List the samples of a submission as the log has them now."""
    query = ListSamples(
        submission_id=SubmissionId(view.transaction_id),
        page_size=100,
        min_seq=await whole.head("sample"),
    )
    return (await whole.edge.ask(query)).items


async def positions_of(whole: Whole, view: TransactionView) -> list[SamplePosition]:
    """List the positions that a submission holds."""
    query = ListPositions(submission_id=SubmissionId(view.transaction_id), page_size=100)
    return (await whole.edge.ask(query)).items


async def notifications_of(whole: Whole, view: TransactionView) -> list[NotificationView]:
    """List what was told about a submission, as the log has it now."""
    query = ListNotifications(page_size=1_000, min_seq=await whole.head("notification"))
    page = await whole.edge.ask(query)
    return [one for one in page.items if str(view.transaction_id) in one.message]


async def expect_free(whole: Whole, barcode: str) -> None:
    """Check that no sample bears a barcode."""
    with pytest.raises(EdgeRefusedError, match=r"sample\.not_found"):
        await whole.edge.ask(GetSampleByBarcode(barcode=barcode))


async def expect_nothing_of(whole: Whole, view: TransactionView, *barcodes: str) -> None:
    """Check that a submission left neither samples nor positions nor claims nor news behind."""
    assert await samples_of(whole, view) == []
    assert await positions_of(whole, view) == []
    assert await notifications_of(whole, view) == []
    for barcode in barcodes:
        await expect_free(whole, barcode)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_manifest_becomes_stored_samples(whole: Whole, form: str) -> None:
    """Every row is one sample in one position of its temperature, told once in the application."""
    table = [*rows(f"OK-{form}", 5), *rows(f"COLD-{form}", 2, zone="-80")]
    content = csv(table) if form == "csv" else xlsx(table)
    view = await whole.take(f"ok.{form}", content)

    assert view.status is TransactionStatus.COMPLETED
    assert {step.status for step in view.steps} == {StepStatus.DONE}
    samples = await samples_of(whole, view)
    assert {s.details.barcode for s in samples} == {row[0].upper() for row in table}
    assert {s.status for s in samples} == {SampleStatus.IN_STORAGE}
    positions = await positions_of(whole, view)
    assert {p.sample_id for p in positions} == {s.sample_id for s in samples}
    assert {p.state for p in positions} == {PositionState.OCCUPIED}
    assert len({(p.container_id, p.position) for p in positions}) == 7
    cold = {s.sample_id for s in samples if s.details.zone is Zone.ULTRA_LOW}
    box = whole.boxes[Zone.ULTRA_LOW].container_id
    assert {p.sample_id for p in positions if p.container_id == box} == cold
    (told,) = await notifications_of(whole, view)
    assert [one.state for one in told.deliveries] == [DeliveryState.DELIVERED]
    assert told.title == f"7 samples of ok.{form} are stored"


async def test_bad_rows_are_named_and_nothing_is_registered(whole: Whole) -> None:
    """The problem has one entry per faulty cell; the good rows are not registered either."""
    table = [*rows("BAD", 2), ("BAD-0003", "DNA", "-20", "-5"), ("BAD-0004", "RNNA", "-20", "5")]
    answer = await whole.submit("bad.csv", csv(table), wait=True)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "template.manifest_invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(e["field"], e["value"]) for e in problem["errors"]] == [
        ("4:Volume_uL", "-5"),
        ("5:Sample_Type", "RNNA"),
    ]
    assert all(e["problem"] and e["remedy"] for e in problem["errors"])
    view = await whole.ended(problem["transaction_id"])
    assert view.status is TransactionStatus.COMPENSATED
    await expect_nothing_of(whole, view, "BAD-0001", "BAD-0003")


async def test_partial_takes_the_valid_rows(whole: Whole) -> None:
    """Two of three rows are stored, and the third is told in the result."""
    table = [*rows("PART", 2), ("PART-0003", "DNA", "-20", "-5")]
    view = await whole.take("part.csv", csv(table), partial=True)

    assert view.status is TransactionStatus.COMPLETED
    assert (view.result["validate"]["accepted"], view.result["validate"]["rejected"]) == (2, 1)
    samples = await samples_of(whole, view)
    assert {s.details.barcode for s in samples} == {"PART-0001", "PART-0002"}
    await expect_free(whole, "PART-0003")


async def test_a_submission_without_room_leaves_nothing_and_starts_anew(whole: Whole) -> None:
    """Samples are withdrawn, barcodes and positions free; with a box more it is stored."""
    content = manifest("FULL", 26, zone="4")
    before = await whole.edge.ask(GetCapacity())
    answer = await whole.submit("full.csv", content, wait=True)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "storage.no_room")
    assert (problem["step"], problem["transaction_status"]) == ("reserve", "compensated")
    view = await whole.ended(problem["transaction_id"])
    assert {s.name: s.status for s in view.steps}["register"] is StepStatus.UNDONE
    await expect_nothing_of(whole, view, "FULL-0001", "FULL-0026")
    assert await whole.edge.ask(GetCapacity()) == before

    rack = whole.boxes[Zone.REFRIGERATED].parent_id
    await whole.edge.ask(
        AddContainer(kind=ContainerKind.BOX, name="B02", parent_id=rack, rows=4, columns=4)
    )
    again = await whole.take("full.csv", content)
    assert again.transaction_id != view.transaction_id
    assert again.status is TransactionStatus.COMPLETED
    assert len(await samples_of(whole, again)) == 26
    assert len(await positions_of(whole, again)) == 26


async def test_the_same_file_twice_is_one_submission(whole: Whole) -> None:
    """One after the other, under another name, or ten at once: one transaction, every row once."""
    content = manifest("TWICE", 3)
    answers = await asyncio.gather(*(whole.submit("twice.csv", content) for _ in range(10)))
    later = await whole.submit("other-name.csv", content)

    taken = [SubmissionView.model_validate_json(a.content) for a in (*answers, later)]
    assert {answer.status_code for answer in (*answers, later)} == {202}
    assert len({one.transaction_id for one in taken}) == 1
    assert sorted(one.repeated for one in taken) == [False, *[True] * 10]
    view = await whole.ended(taken[0].transaction_id)
    assert view.status is TransactionStatus.COMPLETED
    assert len(await samples_of(whole, view)) == 3


async def test_a_barcode_that_the_laboratory_has_is_named(whole: Whole) -> None:
    """The refusal says which row, and which sample bears the barcode already."""
    first = await whole.take("first.csv", manifest("HELD", 1))
    (sample,) = await samples_of(whole, first)
    table = [*rows("FRESH", 1), ("held-0001", "DNA", "-20", "50")]
    answer = await whole.submit("second.csv", csv(table), wait=True)

    problem = answer.json()
    assert answer.status_code in {409, 422}
    assert "HELD-0001" in answer.text
    assert str(sample.sample_id) in answer.text
    await expect_nothing_of(whole, await whole.ended(problem["transaction_id"]), "FRESH-0001")


async def test_a_submission_may_be_json(whole: Whole) -> None:
    """The file stands in the document as text; the rest is the same."""
    file = {"name": "inline.csv", "text": manifest("JSON", 2).decode()}
    answer = await whole.http.post(SUBMISSIONS, json={"file": file, "partial": False})

    taken = SubmissionView.model_validate_json(answer.content)
    assert answer.headers["Location"] == f"/api/v1/transactions/{taken.transaction_id}"
    view = await whole.ended(taken.transaction_id)
    assert view.status is TransactionStatus.COMPLETED


async def test_prefer_wait_gives_the_end(whole: Whole) -> None:
    """200 with the transaction as it ended, and where it is found later."""
    answer = await whole.submit("wait.csv", manifest("WAIT", 2), wait=True)

    view = TransactionView.model_validate_json(answer.content)
    assert (answer.status_code, view.status) == (httpx.codes.OK, TransactionStatus.COMPLETED)
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.headers["Location"] == f"/api/v1/transactions/{view.transaction_id}"


async def test_a_repeated_idempotency_key_is_one_submission(whole: Whole) -> None:
    """The second request gets the first one's answer, as if it had been the first."""
    content = manifest("KEY", 2)
    answers = [
        await whole.http.post(
            SUBMISSIONS, files={"file": ("key.csv", content)}, headers={"Idempotency-Key": "key-1"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["repeated"] is False


async def test_whoever_is_named_gets_an_e_mail(whole: Whole, mails: MailServer) -> None:
    """The server takes one mail per address, and the notification shows both as delivered."""
    addresses = ["ada@lab.example", "bo@lab.example"]
    answer = await whole.http.post(
        SUBMISSIONS,
        files={"file": ("mail.csv", manifest("MAIL", 2))},
        data={"emails": addresses},
    )
    view = await whole.ended(answer.json()["transaction_id"])
    assert view.status is TransactionStatus.COMPLETED
    await mails.until_mails(2)

    assert sorted(recipient for recipient, _ in mails.mails) == addresses
    assert {mail["Subject"] for _, mail in mails.mails} == {"2 samples of mail.csv are stored"}
    (told,) = await notifications_of(whole, view)
    while any(one.state is DeliveryState.PENDING for one in told.deliveries):
        await SYSTEM.sleep(0.02)
        (told,) = await notifications_of(whole, view)
    assert [one.state for one in told.deliveries] == [DeliveryState.DELIVERED] * 3
