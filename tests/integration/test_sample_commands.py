"""What sagas and people ask of samples beyond registration: holds, kin, imports, disposal."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter

from contracts.errors import InvalidInput, Refused
from contracts.message import Command
from contracts.sample import (
    Aliquot,
    BarcodeTaken,
    ChangeSampleStatus,
    CheckDisposable,
    CheckMovable,
    DeriveSamples,
    DiscardSamples,
    FindDescendants,
    GetSample,
    HoldId,
    HoldKind,
    HoldOver,
    HoldSamples,
    ImportSamples,
    LiftHold,
    ListSamples,
    MarkSamplesDisposed,
    PlaceHold,
    PoolSamples,
    PrepareSubmission,
    RegisterSample,
    RegisterSamples,
    ReleaseHold,
    RowOutcome,
    SampleOnHold,
    SamplesRefused,
    SampleStatus,
    SampleView,
    VolumeShort,
    WithdrawSamples,
)
from contracts.types import SampleId
from infra.ids import new_id
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.lab_commands import (
    IDS,
    Bench,
    a_process,
    details,
    manifest,
    open_bench,
)

OUTCOMES = TypeAdapter(list[RowOutcome])

__all__ = ["laboratory"]


@pytest.fixture
async def bench(laboratory: Laboratory) -> Bench:
    """Give a room with both services running, and one box at -20 °C."""
    return await open_bench(laboratory)


def a_hold() -> HoldId:
    """Name a hold that nobody has placed."""
    return HoldId(new_id())


def holding(hold: HoldId, *samples: SampleId, descendants: bool = False) -> HoldSamples:
    """Ask for a quarantine."""
    return HoldSamples(
        hold_id=hold,
        kind=HoldKind.QUARANTINE,
        reason="door stood open",
        sample_ids=list(samples),
        with_descendants=descendants,
    )


async def shown(bench: Bench, sample: SampleId) -> SampleView:
    """Show a sample as it is."""
    return await bench.bus.ask(GetSample(sample_id=sample))


async def test_a_form_goes_the_way_of_a_manifest_of_one_row(bench: Bench) -> None:
    """Prepared twice it names the same sample, and the rows register it."""
    of = a_process()
    command = PrepareSubmission(submission_id=of, details=details("FORM-1"))
    prepared = await bench.bus.ask(command)
    await bench.bus.ask(RegisterSamples(submission_id=of, rows=prepared.rows))

    assert await bench.bus.ask(command) == prepared
    assert (await shown(bench, prepared.sample_id)).details.barcode == "FORM-1"
    with pytest.raises(Refused) as refused:
        await bench.bus.ask(PrepareSubmission(submission_id=a_process(), details=command.details))
    assert refused.value.refusal == BarcodeTaken(barcode="FORM-1", sample_id=prepared.sample_id)


async def test_an_import_says_of_each_row_what_became_of_it(bench: Bench) -> None:
    """A taken barcode refuses its row alone; again the answer is the same; undone all is gone."""
    taken = await bench.bus.ask(RegisterSample(details=details("IMP-2")))
    of = a_process()
    rows = await bench.keep(manifest("IMP-1", "IMP-2", "IMP-3"))
    command = ImportSamples(submission_id=of, rows=rows)

    imported = await bench.bus.ask(command)
    outcomes = OUTCOMES.validate_json(await bench.bus.files.get(imported.outcomes))

    assert (imported.registered, imported.refused) == (2, 1)
    assert [(o.row, o.outcome, o.code) for o in outcomes] == [
        (2, "registered", None),
        (3, "refused", "sample.barcode_taken"),
        (4, "registered", None),
    ]
    assert outcomes[1].detail is not None
    assert str(taken.sample_id) in outcomes[1].detail
    assert await bench.bus.ask(command) == imported
    undone = await bench.bus.ask(WithdrawSamples(submission_id=of, rows=rows))
    assert undone.withdrawn == 2
    with pytest.raises(Refused, match=r"barcode_taken"):
        await bench.bus.ask(
            ImportSamples(
                submission_id=a_process(),
                rows=await bench.keep(manifest("IMP-1", "IMP-2")),
                partial=False,
            )
        )
    assert (await bench.bus.ask(RegisterSample(details=details("IMP-1")))).status == "pending"


async def test_a_held_sample_is_not_used_until_the_hold_is_released(bench: Bench) -> None:
    """Neither aliquoted, pooled nor sequenced; the view and the list show why."""
    one, two = await bench.stored("HELD-1", "HELD-2")
    hold = a_hold()
    command = holding(hold, one, two)
    held = await bench.bus.ask(command)
    again = await bench.bus.ask(command)
    view = await shown(bench, one)
    listed = await bench.bus.ask(ListSamples(min_seq=view.seq))
    on_hold = await bench.bus.ask(ListSamples(held=True, min_seq=view.seq))
    assert {item.sample_id for item in on_hold.items} == {one, two}
    free = await bench.bus.ask(ListSamples(held=False, min_seq=view.seq))
    assert not {item.sample_id for item in free.items} & {one, two}

    assert (held.held, again) == (2, held)
    assert [(h.hold_id, h.kind, h.reason) for h in view.holds] == [
        (hold, HoldKind.QUARANTINE, "door stood open")
    ]
    assert view in listed.items
    tube = Aliquot(barcode="HELD-A", name="a")
    uses: tuple[Command[Any], ...] = (
        DeriveSamples(sample_id=one, aliquots=[tube]),
        PoolSamples(parent_ids=[two, one], pool=tube),
        ChangeSampleStatus(sample_id=one, status=SampleStatus.IN_SEQUENCING, reason="run 7"),
    )
    for use in uses:
        await expect_on_hold(bench, use)

    release = ReleaseHold(hold_id=hold, reason="looked at")
    assert (await bench.bus.ask(release)).released == 2
    assert (await bench.bus.ask(release)).released == 2
    assert (await shown(bench, one)).holds == []
    await bench.bus.ask(DeriveSamples(sample_id=one, aliquots=[tube]))


async def expect_on_hold(bench: Bench, use: Command[Any]) -> None:
    """Check that a sample is not used because of a hold."""
    with pytest.raises(Refused) as refused:
        await bench.bus.ask(use)
    assert isinstance(refused.value.refusal, SampleOnHold)


async def test_a_hold_that_comes_after_its_release_is_refused(bench: Bench) -> None:
    """The undo of a hold that was never placed is fine, and remembered."""
    (one,) = await bench.stored("LATE-1")
    hold = a_hold()

    assert (await bench.bus.ask(ReleaseHold(hold_id=hold, reason="undone"))).released == 0
    with pytest.raises(Refused) as refused:
        await bench.bus.ask(holding(hold, one))
    assert refused.value.refusal == HoldOver(hold_id=hold, how="released")
    assert (await shown(bench, one)).holds == []


async def test_a_hold_names_every_sample_that_is_not_known_and_holds_none(bench: Bench) -> None:
    """All or nothing, with a remedy for each."""
    (one,) = await bench.stored("KNOWN-1")
    unknown = SampleId(new_id())

    with pytest.raises(Refused) as refused:
        await bench.bus.ask(holding(a_hold(), one, unknown))
    refusal = refused.value.refusal
    assert isinstance(refusal, SamplesRefused)
    assert [p.sample_id for p in refusal.problems] == [unknown]
    assert (await shown(bench, one)).holds == []


async def test_one_sample_is_held_and_lifted_by_hand(bench: Bench) -> None:
    """Two holds lie on it; lifting one leaves the other."""
    (one,) = await bench.stored("HAND-1")
    place = PlaceHold(sample_id=one, kind=HoldKind.REVIEW, reason="label unreadable")
    first = (await bench.bus.ask(place)).holds[0]
    await bench.bus.ask(holding(a_hold(), one))

    lift = LiftHold(sample_id=one, hold_id=first.hold_id, reason="read it")
    lifted = await bench.bus.ask(lift)

    assert [hold.kind for hold in lifted.holds] == [HoldKind.QUARANTINE]
    assert await bench.bus.ask(lift) == lifted


async def test_consent_withdrawn_reaches_everything_that_was_made_of_a_sample(
    bench: Bench,
) -> None:
    """Aliquots, their aliquots and the pool: found by the walk, and held with it."""
    one, two = await bench.stored("KIN-1", "KIN-2")
    first = await bench.bus.ask(
        DeriveSamples(sample_id=one, aliquots=[Aliquot(barcode="KIN-1A", name="a")])
    )
    child = first.samples[0]
    pool = await bench.bus.ask(
        PoolSamples(parent_ids=[child.sample_id, two], pool=Aliquot(barcode="KIN-P", name="pool"))
    )
    family = [one, child.sample_id, pool.samples[0].sample_id]

    found = await bench.bus.ask(FindDescendants(sample_ids=[one]))
    held = await bench.bus.ask(holding(a_hold(), one, descendants=True))

    assert child.parent_ids == [one]
    assert pool.samples[0].parent_ids == [child.sample_id, two]
    assert (found.sample_ids, found.descendants) == (family, 2)
    assert IDS.validate_json(await bench.bus.files.get(found.sample_list)) == family
    assert held.held == 3
    for sample in family:
        assert (await shown(bench, sample)).holds
    assert (await shown(bench, two)).holds == []


async def test_aliquots_take_no_more_than_there_is(bench: Bench) -> None:
    """What is left is shown; what is short, or named twice, makes no aliquot at all."""
    of = a_process()
    tube = details("VOL-1").model_copy(update={"volume_ul": Decimal(100)})
    prepared = await bench.bus.ask(PrepareSubmission(submission_id=of, details=tube))
    await bench.bus.ask(RegisterSamples(submission_id=of, rows=prepared.rows))
    parent = prepared.sample_id

    def aliquots(*names: str) -> DeriveSamples:
        made = [Aliquot(barcode=name, name=name, volume_ul=Decimal(40)) for name in names]
        return DeriveSamples(sample_id=parent, aliquots=made)

    await bench.bus.ask(aliquots("VOL-A", "VOL-B"))
    assert (await shown(bench, parent)).remaining_volume_ul == Decimal(20)
    with pytest.raises(Refused) as refused:
        await bench.bus.ask(aliquots("VOL-C"))
    assert refused.value.refusal == VolumeShort(
        sample_id=parent, remaining_ul=Decimal(20), wanted_ul=Decimal(40)
    )
    with pytest.raises(Refused) as twice:
        await bench.bus.ask(aliquots("VOL-D", "VOL-D"))
    assert isinstance(twice.value.refusal, InvalidInput)
    assert twice.value.refusal.errors[0].problem == "It is named 2 times."
    with pytest.raises(Refused, match="barcode_taken"):
        await bench.bus.ask(
            DeriveSamples(sample_id=parent, aliquots=[Aliquot(barcode="VOL-A", name="x")])
        )


async def test_quarantined_samples_are_discarded_and_their_hold_ends(bench: Bench) -> None:
    """Discarding a hold gives up what it lies on, once; what was released from it stays."""
    one, two = await bench.stored("GONE-1", "GONE-2")
    hold = a_hold()
    await bench.bus.ask(holding(hold, one, two))
    await bench.bus.ask(ReleaseHold(hold_id=hold, reason="was outside", only=[two]))
    discard = DiscardSamples(hold_id=hold, reason="thawed")

    assert (await bench.bus.ask(discard)).discarded == 1
    assert (await bench.bus.ask(discard)).discarded == 1
    gone, kept = await shown(bench, one), await shown(bench, two)
    assert (gone.status, gone.holds) == (SampleStatus.DISCARDED, [])
    assert (kept.status, kept.holds) == (SampleStatus.IN_STORAGE, [])
    assert (await bench.bus.ask(ReleaseHold(hold_id=hold, reason="late"))).released == 0


async def test_a_sample_is_disposed_of_only_when_nothing_keeps_it(bench: Bench) -> None:
    """A hold for disposal does not stand in the way, one for quarantine does, unless named."""
    one, two = await bench.stored("END-1", "END-2")
    quarantine = a_hold()
    await bench.bus.ask(holding(quarantine, two))
    await bench.bus.ask(
        HoldSamples(
            hold_id=a_hold(), kind=HoldKind.DISPOSAL, reason="retention over", sample_ids=[one]
        )
    )

    with pytest.raises(Refused, match=r"1 sample.* cannot be disposed of.*END-2"):
        await bench.bus.ask(CheckDisposable(sample_ids=[one, two]))
    despite = CheckDisposable(sample_ids=[one, two], despite=[HoldKind.QUARANTINE])
    assert (await bench.bus.ask(despite)).selected == 2
    disposed = MarkSamplesDisposed(
        sample_ids=[one], reason="retention over", approved_by=["ada", "bob"]
    )
    assert (await bench.bus.ask(disposed)).disposed == 1
    assert (await bench.bus.ask(disposed)).disposed == 1
    gone = await shown(bench, one)
    assert (gone.status, gone.holds) == (SampleStatus.DISPOSED, [])
    for check in (CheckMovable(sample_ids=[one]), CheckDisposable(sample_ids=[one])):
        with pytest.raises(Refused, match=r"samples_refused.*disposed"):
            await bench.bus.ask(check)


async def test_more_samples_than_a_batch_holds_are_held_and_released(bench: Bench) -> None:
    """A list in a file is held part by part; its hold is released by its name alone."""
    of = a_process()
    rows = manifest(*(f"MANY-{number}" for number in range(1_100)))
    await bench.bus.ask(RegisterSamples(submission_id=of, rows=await bench.keep(rows)))
    ids = [row.sample_id for row in rows]
    listed = await bench.bus.files.put(IDS.dump_json(ids), name="samples.json")
    hold = a_hold()
    command = holding(hold).model_copy(update={"sample_list": listed})

    held = await bench.bus.ask(command, timeout_seconds=60)
    first, last = await shown(bench, ids[0]), await shown(bench, ids[-1])
    released = await bench.bus.ask(
        ReleaseHold(hold_id=hold, reason="looked at"), timeout_seconds=60
    )

    assert held.held == released.released == 1_100
    assert [len(view.holds) for view in (first, last)] == [1, 1]
    assert (await shown(bench, ids[-1])).holds == []
