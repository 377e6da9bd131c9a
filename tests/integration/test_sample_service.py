"""The sample service through the bus: barcodes are unique, submissions are whole or not at all."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from pydantic import TypeAdapter

from contracts import subjects
from contracts.entry import verify_chain
from contracts.errors import Refused
from contracts.sample import (
    BarcodeClaimed,
    BarcodeTaken,
    ChangeSampleStatus,
    GetSample,
    RegisterSample,
    RegisterSamples,
    SampleStatus,
    SubmissionClosed,
    WithdrawSamples,
)
from contracts.template import ManifestRow
from contracts.types import FileRef, SampleId, SubmissionId
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Log
from services.sample.domain import BARCODE, SAMPLE, SUBMISSION
from tests.fixtures.sample_house import House, details, entries, sample_house

GRACE_SECONDS = 1.0
BIG_SECONDS = 180.0
"""About 5 s on a machine that does nothing else; CI's does."""
ROWS = TypeAdapter(list[ManifestRow])


@pytest.fixture
async def house(nats_url: str, provisioned: Connection) -> AsyncGenerator[House]:
    """Run the service with a short grace."""
    del provisioned
    async with sample_house(nats_url, claim_grace_seconds=GRACE_SECONDS) as running:
        yield running


@pytest.fixture
async def bus(nats_url: str, house: House) -> AsyncGenerator[Bus]:
    """Give a bus to ask the service."""
    del house
    bus = await Bus.open(nats_url, source="asker")
    yield bus
    await bus.close()


def rows(*barcodes: str) -> list[ManifestRow]:
    """Make the rows of a manifest."""
    return [
        ManifestRow(row=number, sample_id=SampleId(new_id()), details=details(barcode))
        for number, barcode in enumerate(barcodes, start=2)
    ]


async def kept(bus: Bus, manifest: list[ManifestRow]) -> FileRef:
    """Keep rows where a command can refer to them."""
    return await bus.files.put(ROWS.dump_json(manifest), name="rows.json")


async def held(connection: Connection, barcode: str) -> SampleId | None:
    """Say who bears a barcode."""
    claim = (await Log(connection, "sample").load(BARCODE, barcode)).state
    return claim.holder if claim else None


async def test_of_two_registrations_of_one_barcode_at_once_one_wins(bus: Bus, house: House) -> None:
    """The other hears which sample has it; only one sample comes to be."""
    asked = [bus.ask(RegisterSample(details=details("LAB-1"))) for _ in range(8)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    (winner,) = [one for one in results if not isinstance(one, BaseException)]
    refusals = [one.refusal for one in results if isinstance(one, Refused)]
    assert refusals == [BarcodeTaken(barcode="LAB-1", sample_id=winner.sample_id)] * 7
    assert await held(house.connection, "LAB-1") == winner.sample_id
    kinds = {SAMPLE.key_of(entry.subject) for entry in await entries(house.connection)}
    assert kinds == {None, str(winner.sample_id)}


async def test_of_two_processes_that_register_one_barcode_one_wins(
    bus: Bus, house: House, nats_url: str
) -> None:
    """Compare-and-set decides between processes as a lock does within one."""
    async with sample_house(nats_url) as second:
        del second
        for number in range(10):
            asked = [bus.ask(RegisterSample(details=details(f"LAB-{number}"))) for _ in range(4)]
            results = await asyncio.gather(*asked, return_exceptions=True)
            assert sum(isinstance(one, Refused) for one in results) == 3
    assert len(await entries(house.connection)) == 20


async def test_a_barcode_reads_the_same_however_it_was_scanned(bus: Bus) -> None:
    """Case, width and what nobody sees make no other barcode."""
    await bus.ask(RegisterSample(details=details("lab-1\u200b")))
    with pytest.raises(Refused, match="already belongs"):
        await bus.ask(RegisterSample(details=details("\uff2cAB-1 ")))


async def claim_and_give_up(connection: Connection, barcode: str) -> SampleId:
    """Leave what a registration leaves that died between its two appends."""
    log, sample_id = Log(connection, "sample"), SampleId(new_id())
    given_up = Context(message_id=str(new_id()), actor="anna", correlation="", now=SYSTEM.now())
    claimed = BarcodeClaimed(barcode=barcode, sample_id=sample_id)
    await log.of(BARCODE).execute(barcode, lambda _: [claimed], given_up)
    return sample_id


async def test_a_claim_without_a_sample_is_taken_over_after_the_grace(
    bus: Bus, house: House
) -> None:
    """Not before: nobody can tell yet whether its registration is still under way."""
    await claim_and_give_up(house.connection, "LAB-1")
    started = SYSTEM.monotonic()
    view = await bus.ask(RegisterSample(details=details("LAB-1")))
    assert SYSTEM.monotonic() - started > GRACE_SECONDS * 0.9
    assert await held(house.connection, "LAB-1") == view.sample_id


async def test_a_submission_takes_over_such_a_claim_too(bus: Bus, house: House) -> None:
    """One tube that was given up half-way does not keep a manifest out."""
    await claim_and_give_up(house.connection, "LAB-2")
    manifest = rows("LAB-1", "LAB-2", "LAB-3")
    command = RegisterSamples(submission_id=SubmissionId(new_id()), rows=await kept(bus, manifest))
    assert (await bus.ask(command)).registered == 3
    assert await held(house.connection, "LAB-2") == manifest[1].sample_id


async def test_a_registration_that_lost_its_claim_makes_no_sample(bus: Bus, house: House) -> None:
    """It died half-way, another took over: when it comes again, the barcode keeps its sample."""
    message_id = str(new_id())
    late = Context(message_id=message_id, actor="anna", correlation="", now=SYSTEM.now())
    claimed = BarcodeClaimed(barcode="LAB-1", sample_id=SampleId(late.derive("sample")))
    await house.log.of(BARCODE).execute("LAB-1", lambda _: [claimed], late.part("claim-1"))
    winner = await bus.ask(RegisterSample(details=details("LAB-1")))
    with pytest.raises(Refused) as refused:
        await bus.ask(RegisterSample(details=details("LAB-1")), message_id=message_id)
    assert refused.value.refusal == BarcodeTaken(barcode="LAB-1", sample_id=winner.sample_id)
    assert (await house.log.load(SAMPLE, late.derive("sample"))).state is None


async def test_a_sample_moves_along_its_life_and_no_other_way(bus: Bus) -> None:
    """An allowed step is made; another is refused, with what is allowed."""
    view = await bus.ask(RegisterSample(details=details("LAB-1")))

    def change(status: SampleStatus) -> ChangeSampleStatus:
        return ChangeSampleStatus(sample_id=view.sample_id, status=status, reason="looks good")

    assert (await bus.ask(change(SampleStatus.VALIDATED))).status is SampleStatus.VALIDATED
    with pytest.raises(Refused, match="validated and cannot become completed"):
        await bus.ask(change(SampleStatus.COMPLETED))
    assert (await bus.ask(GetSample(sample_id=view.sample_id))).status is SampleStatus.VALIDATED


async def test_a_sample_is_shown_as_it_was(bus: Bus) -> None:
    """At a time between two changes, and not at all before it was registered."""
    before = SYSTEM.now()
    view = await bus.ask(RegisterSample(details=details("LAB-1")))
    await bus.ask(
        ChangeSampleStatus(
            sample_id=view.sample_id, status=SampleStatus.VALIDATED, reason="looks good"
        )
    )
    then = await bus.ask(GetSample(sample_id=view.sample_id, at=view.registered_at))
    assert then.status is SampleStatus.PENDING
    with pytest.raises(Refused, match="There is no sample"):
        await bus.ask(GetSample(sample_id=view.sample_id, at=before))


async def test_a_refused_submission_leaves_no_sample(bus: Bus, house: House) -> None:
    """One barcode in its last part is taken: all parts are taken back, all barcodes are free."""
    taken = await bus.ask(RegisterSample(details=details("LAB-999")))
    manifest = rows(*(f"LAB-{number}" for number in range(500, 1_000)))
    submission = SubmissionId(new_id())
    command = RegisterSamples(submission_id=submission, rows=await kept(bus, manifest))
    with pytest.raises(Refused, match="LAB-999 already belongs"):
        await bus.ask(command)
    log = Log(house.connection, "sample")
    for row in (manifest[0], manifest[-2]):
        assert await held(house.connection, row.details.barcode) is None
        sample = (await log.load(SAMPLE, row.sample_id)).state
        assert sample is None or sample.status is SampleStatus.WITHDRAWN
    assert await held(house.connection, "LAB-999") == taken.sample_id


async def test_a_registration_that_comes_after_the_withdrawal_is_refused(
    bus: Bus, house: House
) -> None:
    """The compensation came first: whatever comes late finds the submission closed."""
    manifest = rows("LAB-1", "LAB-2")
    submission, ref = SubmissionId(new_id()), await kept(bus, manifest)
    taken_back = await bus.ask(WithdrawSamples(submission_id=submission, rows=ref))
    assert taken_back.withdrawn == 0
    with pytest.raises(Refused) as refused:
        await bus.ask(RegisterSamples(submission_id=submission, rows=ref))
    assert refused.value.refusal == SubmissionClosed(submission_id=submission)
    assert await held(house.connection, "LAB-1") is None


async def test_barcodes_of_a_withdrawn_submission_can_be_used_again(bus: Bus) -> None:
    """As if it had never come."""
    for _ in range(2):
        manifest = rows("LAB-1", "LAB-2")
        submission, ref = SubmissionId(new_id()), await kept(bus, manifest)
        await bus.ask(RegisterSamples(submission_id=submission, rows=ref))
        taken_back = await bus.ask(WithdrawSamples(submission_id=submission, rows=ref))
        assert taken_back.withdrawn == 2


@pytest.mark.timeout(240)
async def test_ten_thousand_rows_are_registered_and_taken_back(bus: Bus, house: House) -> None:
    """Every row once, in a bounded time; afterwards every barcode is free and every chain holds."""
    manifest = rows(*(f"LAB-{number}" for number in range(10_000)))
    submission, ref = SubmissionId(new_id()), await kept(bus, manifest)
    async with asyncio.timeout(90):
        command = RegisterSamples(submission_id=submission, rows=ref)
        assert (await bus.ask(command, timeout_seconds=90)).registered == 10_000
    log = Log(house.connection, "sample")
    assert await house.log.head() == 20_000 + 23
    for row in manifest[::997]:
        assert await held(house.connection, row.details.barcode) == row.sample_id
        assert (await log.load(SAMPLE, row.sample_id)).state is not None
    async with asyncio.timeout(90):
        taken_back = await bus.ask(
            WithdrawSamples(submission_id=submission, rows=ref), timeout_seconds=90
        )
    assert taken_back.withdrawn == 10_000
    for row in manifest[::997]:
        assert await held(house.connection, row.details.barcode) is None
        assert verify_chain(await log.bodies(SAMPLE, row.sample_id)) == 2
    assert verify_chain(await log.bodies(SUBMISSION, submission)) == 24
    async with asyncio.timeout(BIG_SECONDS):
        while await house.connection.head(subjects.EVENTS) < 20_000:
            await SYSTEM.sleep(0.05)
    assert await house.connection.head(subjects.EVENTS) == 20_000
    assert await house.connection.head(subjects.DEAD) == 0
