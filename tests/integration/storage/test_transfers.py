"""Samples carried from place to place and taken out, over the whole sample and storage services."""

import asyncio
from decimal import Decimal

import pytest

from contracts import subjects
from contracts.errors import Refused
from contracts.sample import CheckMovable, GetCustody, MarkSamplesDisposed, RecordCustody
from contracts.storage import (
    CheckTransfer,
    ConfirmPositions,
    FindAffected,
    FindSamplePosition,
    GetContainer,
    MoveSamples,
    PositionState,
    ReleasePositions,
    RemoveSamples,
    ReserveTransfer,
    SampleNotStored,
    SamplesMoved,
    TargetFull,
    TemperatureOff,
    TransferMade,
    WrongReservation,
    ZoneUnfit,
)
from contracts.types import ContainerId, FileRef, SampleId, SubmissionId, Zone
from infra.clock import SYSTEM
from infra.ids import new_id
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.lab_commands import HANDOVERS, IDS, Bench, a_process, open_bench

__all__ = ["laboratory"]


@pytest.fixture
async def bench(laboratory: Laboratory) -> Bench:
    """Give a room with both services running, and one box at -20 °C."""
    return await open_bench(laboratory)


async def selected(bench: Bench, *samples: SampleId) -> FileRef:
    """Give the rows of samples that can be carried."""
    return (await bench.bus.ask(CheckMovable(sample_ids=list(samples)))).rows


async def reserve(bench: Bench, of: SubmissionId, to: ContainerId, *samples: SampleId) -> None:
    """Hold positions for a transfer."""
    rows = await selected(bench, *samples)
    await bench.bus.ask(ReserveTransfer(submission_id=of, rows=rows, target_id=to))


def moving(of: SubmissionId, celsius: int = -20) -> MoveSamples:
    """Carry under somebody's eyes."""
    return MoveSamples(
        submission_id=of,
        reason="freezer is serviced",
        witnessed_by="bob",
        temperature_celsius=Decimal(celsius),
    )


async def where(bench: Bench, sample: SampleId) -> tuple[ContainerId, str]:
    """Say where a sample rests."""
    found = await bench.bus.ask(FindSamplePosition(sample_id=sample))
    assert found.state is PositionState.OCCUPIED
    return found.container_id, found.position


async def used(bench: Bench, *boxes: ContainerId) -> list[int]:
    """Count the positions that are taken."""
    return [(await bench.bus.ask(GetContainer(container_id=box))).used for box in boxes]


async def test_samples_are_carried_and_their_custody_says_so(bench: Bench) -> None:
    """Checked, reserved, moved, recorded; every step twice; the chain names who and where."""
    one, two = await bench.stored("MOVE-1", "MOVE-2")
    old, _ = await where(bench, one)
    rack = await bench.rack("FRZ-2", Zone.FROZEN)
    new = await bench.box(rack, "B07")
    of, rows = a_process(), await selected(bench, one, two)

    checked = await bench.bus.ask(CheckTransfer(submission_id=of, rows=rows, target_id=rack))
    assert (checked.samples, checked.boxes, checked.zone) == (2, 1, Zone.FROZEN)
    for _ in range(2):
        order = ReserveTransfer(submission_id=of, rows=rows, target_id=rack)
        held = await bench.bus.ask(order)
        assert (held.state, held.boxes) == ("held", [new])
    assert await where(bench, one) == (old, "A01")
    assert await used(bench, old, new) == [2, 2]

    carried = await bench.bus.ask(moving(of))
    assert await bench.bus.ask(moving(of)) == carried
    assert await where(bench, one) == (new, "A01")
    assert await where(bench, two) == (new, "A02")
    assert await used(bench, old, new) == [0, 2]

    record = RecordCustody(
        submission_id=of,
        handovers=carried.handovers,
        carried_at=carried.carried_at,
        carried_by=carried.carried_by,
        reason="freezer is serviced",
        witnessed_by="bob",
        temperature_celsius=Decimal(-20),
    )
    for _ in range(2):
        assert (await bench.bus.ask(record)).recorded == 2
    chain = (await bench.bus.ask(GetCustody(sample_id=one))).entries
    assert [link.action for link in chain] == ["registered", "stored", "moved"]
    last = chain[-1]
    assert last.origin is not None
    assert last.target is not None
    assert (last.origin.container_id, last.target.container_id) == (old, new)
    assert last.target.path == "Room 1 > FRZ-2 > R01 > B07"
    assert (last.witnessed_by, last.by) == ("bob", carried.carried_by)
    assert await told(bench, carried.submission_id)


async def test_a_move_that_is_asked_several_times_at_once_is_made_once(bench: Bench) -> None:
    """Messages of their own, at the same moment: one answer, and the tube stays where it came."""
    (one,) = await bench.stored("ONCE-1")
    new = await bench.box(await bench.rack("FRZ-2", Zone.FROZEN), "B07")
    of = a_process()
    await reserve(bench, of, new, one)

    answers = await asyncio.gather(*(bench.bus.ask(moving(of)) for _ in range(6)))

    assert all(answer == answers[0] for answer in answers)
    assert await where(bench, one) == (new, "A01")


async def told(bench: Bench, of: SubmissionId) -> bool:
    """Wait until everyone was told of a move."""
    async with asyncio.timeout(60):
        while True:
            raw = await bench.bus.connection.last(
                subjects.EVENTS, subjects.of(SamplesMoved.contract)
            )
            if raw is not None:
                return SamplesMoved.model_validate_json(raw.body).submission_id == of
            await SYSTEM.sleep(0.05)


async def test_a_transfer_that_was_released_leaves_everything_where_it_was(bench: Bench) -> None:
    """The undo frees the target alone, is fine where nothing was done, and ends the transfer."""
    (one,) = await bench.stored("STAY-1")
    before = await where(bench, one)
    rack = await bench.rack("FRZ-2", Zone.FROZEN)
    new = await bench.box(rack, "B07")
    of = a_process()
    await reserve(bench, of, new, one)

    assert (await bench.bus.ask(ReleasePositions(submission_id=of))).state == "released"
    assert await where(bench, one) == before
    assert await used(bench, new) == [0]
    with pytest.raises(Refused, match="reservation_lost"):
        await bench.bus.ask(moving(of))
    never = a_process()
    assert (await bench.bus.ask(ReleasePositions(submission_id=never))).state == "released"
    with pytest.raises(Refused, match="reservation_over"):
        await reserve(bench, never, new, one)


async def test_a_transfer_that_was_made_is_not_undone_by_a_release(bench: Bench) -> None:
    """The tubes lie there: giving their positions away would lose them."""
    (one,) = await bench.stored("MADE-1")
    new = await bench.box(await bench.rack("FRZ-2", Zone.FROZEN), "B07")
    of = a_process()
    await reserve(bench, of, new, one)
    with pytest.raises(Refused) as wrong:
        await bench.bus.ask(ConfirmPositions(submission_id=of))
    assert wrong.value.refusal == WrongReservation(
        submission_id=of, held_for="transfer", wanted_for="arrival"
    )
    await bench.bus.ask(moving(of))

    with pytest.raises(Refused) as refused:
        await bench.bus.ask(ReleasePositions(submission_id=of))
    assert refused.value.refusal == TransferMade(submission_id=of)
    assert await where(bench, one) == (new, "A01")


async def test_a_place_that_is_too_warm_too_small_or_off_its_temperature_is_refused(
    bench: Bench,
) -> None:
    """Colder will do for frozen material where it is allowed; nothing is held by a refusal."""
    one, two = await bench.stored("COLD-1", "COLD-2")
    rows, of = await selected(bench, one, two), a_process()
    fridge = await bench.box(await bench.rack("FRG-1", Zone.REFRIGERATED), "B01")
    deep = await bench.box(await bench.rack("ULT-1", Zone.ULTRA_LOW), "B01")
    tiny = await bench.box(await bench.rack("FRZ-2", Zone.FROZEN), "B01", 1)

    async def check(to: ContainerId, **said: object) -> Refused:
        command = {"submission_id": of, "rows": rows, "target_id": to, **said}
        with pytest.raises(Refused) as refused:
            await bench.bus.ask(CheckTransfer.model_validate(command))
        return refused.value

    assert isinstance((await check(fridge, allow_colder=True)).refusal, ZoneUnfit)
    assert isinstance((await check(deep)).refusal, ZoneUnfit)
    assert isinstance((await check(tiny)).refusal, TargetFull)
    assert isinstance((await check(deep, temperature_celsius=-60)).refusal, TemperatureOff)
    with pytest.raises(Refused, match="container_not_found"):
        await bench.bus.ask(
            CheckTransfer(submission_id=of, rows=rows, target_id=ContainerId(new_id()))
        )
    fits = CheckTransfer(submission_id=of, rows=rows, target_id=deep, allow_colder=True)
    assert (await bench.bus.ask(fits)).samples == 2
    assert await used(bench, fridge, deep, tiny) == [0, 0, 0]


async def test_two_transfers_of_one_sample_leave_it_in_one_place(bench: Bench) -> None:
    """While one is under way another is refused; a place off its temperature stops the move."""
    (one,) = await bench.stored("TWICE-1")
    rack = await bench.rack("FRZ-2", Zone.FROZEN)
    first, second = await bench.box(rack, "B01"), await bench.box(rack, "B02")
    of = a_process()
    await reserve(bench, of, first, one)

    with pytest.raises(Refused, match=r"samples_unplaced.*another process"):
        await reserve(bench, a_process(), second, one)
    with pytest.raises(Refused, match="temperature_off"):
        await bench.bus.ask(moving(of, celsius=-5))
    await bench.bus.ask(moving(of))
    with pytest.raises(Refused, match=r"samples_unplaced.*already"):
        await reserve(bench, a_process(), first, one)


async def test_what_lies_in_a_place_is_found_by_container_location_and_zone(
    bench: Bench,
) -> None:
    """Box by box, only what rests there; a place has to be named, once."""
    one, two = await bench.stored("AFF-1", "AFF-2")
    box, _ = await where(bench, one)
    cold = await bench.box(await bench.rack("ULT-1", Zone.ULTRA_LOW), "B01")
    rows = await selected(bench, two)
    await bench.bus.ask(
        ReserveTransfer(submission_id=a_process(), rows=rows, target_id=cold, allow_colder=True)
    )

    found = await bench.bus.ask(FindAffected(container_id=box))
    at_room = await bench.bus.ask(FindAffected(location_id=bench.room, zone=Zone.FROZEN))
    elsewhere = await bench.bus.ask(FindAffected(container_id=cold))

    assert (found.sample_ids, found.samples, found.boxes) == ([one, two], 2, 1)
    assert IDS.validate_json(await bench.bus.files.get(found.sample_list)) == [one, two]
    assert (at_room.sample_ids, at_room.path) == ([one, two], "Room 1")
    assert elsewhere.sample_ids == []
    with pytest.raises(Refused, match="place_unsaid"):
        await bench.bus.ask(FindAffected())


async def test_samples_are_taken_out_for_good_and_their_positions_are_free(bench: Bench) -> None:
    """Again the answer is the same; what lies nowhere is left out; the chain ends with it."""
    one, two = await bench.stored("OUT-1", "OUT-2")
    box, _ = await where(bench, one)
    of = a_process()
    command = RemoveSamples(
        submission_id=of, sample_ids=[one, SampleId(new_id())], reason="disposal"
    )

    removed = await bench.bus.ask(command)
    assert await bench.bus.ask(command) == removed
    handovers = HANDOVERS.validate_json(await bench.bus.files.get(removed.handovers))
    assert [(h.sample_id, h.target) for h in handovers] == [(one, None)]
    assert await used(bench, box) == [1]
    with pytest.raises(Refused) as refused:
        await where(bench, one)
    assert refused.value.refusal == SampleNotStored(sample_id=one)
    assert (await where(bench, two))[0] == box

    await bench.bus.ask(
        RecordCustody(
            submission_id=of,
            handovers=removed.handovers,
            carried_at=removed.carried_at,
            carried_by=removed.carried_by,
            reason="disposal",
        )
    )
    await bench.bus.ask(
        MarkSamplesDisposed(sample_ids=[one], reason="disposal", approved_by=["ada", "bob"])
    )
    chain = (await bench.bus.ask(GetCustody(sample_id=one))).entries
    assert [link.action for link in chain][-2:] == ["removed", "disposed"]
