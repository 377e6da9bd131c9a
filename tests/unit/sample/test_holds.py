"""Holds, kin, custody and the end of samples, decided and folded without any I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.aggregate import Decision
from contracts.entry import GENESIS, Entry
from contracts.errors import InvalidInput, Refusal
from contracts.message import Event
from contracts.sample import (
    Aliquot,
    ChangeSampleStatus,
    HoldId,
    HoldKind,
    HoldOver,
    HoldSamples,
    MarkSamplesDisposed,
    RecordCustody,
    SampleDetails,
    SampleDisposed,
    SampleNotFound,
    SampleOnHold,
    SampleStatus,
    SampleStatusChanged,
    SampleUnusable,
    TransitionRefused,
    VolumeShort,
)
from contracts.storage import Handover, Place
from contracts.types import (
    ContainerId,
    FileRef,
    SampleId,
    SampleType,
    SubmissionId,
    Zone,
    derive_id,
)
from services.sample import domain
from services.sample.domain import NEXT, Sample, custody, fitness, genealogy, holds
from services.sample.domain.genealogy import USABLE
from services.sample.domain.holds import Hold
from services.sample.domain.life import UNDISPOSABLE, USED

ID = SampleId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
HOLDS = [HoldId(derive_id(ID, "hold", number)) for number in range(3)]
CHILD = SampleId(derive_id(ID, "child"))
NOW = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
DETAILS = SampleDetails(
    barcode="LAB-1",
    name="tube",
    sample_type=SampleType.DNA,
    zone=Zone.FROZEN,
    volume_ul=Decimal(100),
)


def entry(*events: Event) -> Entry:
    """Make the entry that holds events."""
    return Entry(
        events=events,
        at=NOW,
        actor="anna",
        cause="m",
        correlation="c",
        number=1,
        prev_hash=GENESIS,
        seq=7,
    )


def a_sample(status: SampleStatus = SampleStatus.IN_STORAGE) -> Sample:
    """Make a sample as its log would have it."""
    decided = domain.register(None, ID, DETAILS, status=status)
    sample = domain.evolve_sample(None, decided[0], entry(*decided))
    assert sample is not None
    return sample


def after(sample: Sample, decided: Decision) -> Sample:
    """Fold what was decided on a sample."""
    assert not isinstance(decided, Refusal), decided
    for event in decided:
        evolved = domain.evolve_sample(sample, event, entry(event))
        assert evolved is not None
        sample = evolved
    return sample


def order(hold: HoldId = HOLDS[0]) -> HoldSamples:
    """Ask for a quarantine."""
    return HoldSamples(hold_id=hold, kind=HoldKind.QUARANTINE, reason="door stood open")


def folded(hold: Hold | None, decided: Decision) -> Hold | None:
    """Fold what was decided on a hold."""
    assert not isinstance(decided, Refusal), decided
    for event in decided:
        hold = holds.evolve_hold(hold, event, entry(event))
    return hold


WISHES = st.lists(st.tuples(st.booleans(), st.sampled_from(HOLDS)), max_size=20)


@given(wishes=WISHES)
def test_a_sample_is_held_by_exactly_the_holds_that_were_not_released(
    wishes: list[tuple[bool, HoldId]],
) -> None:
    """In any order and however often; it may be used exactly where none is left."""
    sample, expected = a_sample(), set[HoldId]()
    for place, hold in wishes:
        if place:
            sample = after(sample, holds.hold_sample(sample, ID, order(hold)))
            expected.add(hold)
        else:
            sample = after(sample, holds.release_from(sample, hold, "looked at"))
            expected.discard(hold)
        assert [one.hold_id for one in sample.holds] == list(
            dict.fromkeys(one.hold_id for one in sample.holds)
        )
        assert {one.hold_id for one in sample.holds} == expected
        assert (holds.refuse_use(sample) is None) == (not expected)


@given(parts=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_a_hold_knows_each_of_its_samples_once(parts: list[list[int]]) -> None:
    """Placed part by part, repeated or not; ended, it keeps them and takes no more."""
    hold: Hold | None = None
    for part in parts:
        ids = list(dict.fromkeys(SampleId(derive_id(ID, number)) for number in part))
        hold = folded(hold, holds.place(hold, order(), ids))
    named = {SampleId(derive_id(ID, number)) for part in parts for number in part}
    assert set(hold.sample_ids if hold else ()) == named
    assert len(hold.sample_ids if hold else ()) == len(named)

    ended = folded(hold, holds.end(hold, HOLDS[0], "released"))
    assert ended is not None
    assert set(ended.sample_ids) == named
    over = HoldOver(hold_id=HOLDS[0], how="released")
    assert holds.place(ended, order(), [ID]) == over
    assert holds.end(ended, HOLDS[0], "released") == []
    assert holds.end(ended, HOLDS[0], "discarded") == over


def test_a_hold_lies_no_more_on_what_was_taken_from_it() -> None:
    """What it does not lie on cannot be taken from it."""
    hold = folded(None, holds.place(None, order(), [ID, CHILD]))
    narrowed = folded(hold, holds.narrow(hold, HOLDS[0], [ID]))

    assert narrowed == Hold(hold_id=HOLDS[0], sample_ids=(CHILD,))
    assert holds.narrow(narrowed, HOLDS[0], [ID]) == []
    assert holds.narrow(None, HOLDS[0], [ID]) == []


def test_what_is_gone_needs_no_hold_and_what_is_unknown_gets_none() -> None:
    """A hold on a family passes over what was destroyed."""
    for status in (SampleStatus.DISPOSED, SampleStatus.WITHDRAWN):
        gone = a_sample().model_copy(update={"status": status})
        assert holds.hold_sample(gone, ID, order()) == []
    assert holds.hold_sample(None, ID, order()) == SampleNotFound(key=str(ID))
    assert holds.release_from(None, HOLDS[0], "late") == []


@pytest.mark.parametrize(("old", "new"), list(product(SampleStatus, SampleStatus)))
def test_a_held_sample_takes_every_step_but_into_use(old: SampleStatus, new: SampleStatus) -> None:
    """It may still fail, be rejected or put back."""
    held = after(a_sample(), holds.hold_sample(a_sample(), ID, order()))
    held = held.model_copy(update={"status": old})
    decided = domain.change_status(
        held, ChangeSampleStatus(sample_id=ID, status=new, reason="looks good")
    )
    if new in USED:
        assert isinstance(decided, SampleOnHold)
    else:
        assert isinstance(decided, TransitionRefused) == (new not in NEXT[old])


@pytest.mark.parametrize("status", list(SampleStatus))
def test_a_sample_is_given_up_by_steps_that_its_life_allows(status: SampleStatus) -> None:
    """Out of sequencing through failure; what was judged discardable is, and ends its hold."""
    sample = a_sample().model_copy(update={"status": status})
    placed = holds.hold_sample(a_sample(), ID, order())
    sample = after(sample, placed)
    decided = domain.discard(sample, ID, "thawed", under=HOLDS[0])
    if fitness.discardable(sample) is not None:
        assert status is SampleStatus.ARCHIVED
        assert isinstance(decided, TransitionRefused)
        return
    assert not isinstance(decided, Refusal)
    for event in decided:
        if isinstance(event, SampleStatusChanged):
            assert event.new_status in NEXT[event.old_status]
    gone = after(sample, decided)
    assert gone.holds == ()
    assert gone.gone or gone.status is SampleStatus.DISCARDED
    assert domain.discard(gone, ID, "thawed", under=HOLDS[0]) == []


@pytest.mark.parametrize("status", list(SampleStatus))
def test_a_sample_is_destroyed_once_and_not_while_it_is_in_use(status: SampleStatus) -> None:
    """The check before and the record after agree; every hold ends with the material."""
    command = MarkSamplesDisposed(sample_ids=[ID], reason="retention over", approved_by=["ada"])
    sample = a_sample().model_copy(update={"status": status})
    decided = domain.dispose(sample, ID, command)
    unfit = fitness.disposable(())(sample)
    if status in UNDISPOSABLE:
        assert isinstance(decided, TransitionRefused)
        assert unfit is not None
    elif status is SampleStatus.DISPOSED:
        assert decided == []
        assert unfit is not None
    else:
        assert unfit is None
        assert [type(event) for event in after_events(decided)] == [SampleDisposed]
        held = after(sample, holds.hold_sample(sample, ID, order()))
        gone = after(held, decided)
        assert (gone.status, gone.holds) == (SampleStatus.DISPOSED, ())


def after_events(decided: Decision) -> Sequence[Event]:
    """Give events that were not refused."""
    assert not isinstance(decided, Refusal)
    return decided


@given(volumes=st.lists(st.decimals(0, 60, places=1), max_size=8))
def test_aliquots_never_take_more_than_the_sample_had(volumes: list[Decimal]) -> None:
    """What is left and what was taken add up to what came in; a repetition takes nothing."""
    sample = a_sample()
    for number, volume in enumerate(volumes):
        child = SampleId(derive_id(ID, number))
        decided = genealogy.take(sample, ID, [child], volume)
        left = sample.remaining_ul
        assert left is not None
        if volume > left:
            assert decided == VolumeShort(sample_id=ID, remaining_ul=left, wanted_ul=volume)
            continue
        sample = after(sample, decided)
        assert genealogy.take(sample, ID, [child], volume) == []
        assert sample.remaining_ul == left - volume
        assert sample.child_ids[-1] == child
    assert sample.taken_ul <= Decimal(100)


@pytest.mark.parametrize("status", list(SampleStatus))
def test_material_is_taken_only_of_what_was_accepted_and_is_there(status: SampleStatus) -> None:
    """And never of what is on hold."""
    sample = a_sample().model_copy(update={"status": status})
    decided = genealogy.take(sample, ID, [CHILD], Decimal(1))
    refused = SampleUnusable(sample_id=ID, status=status)
    assert (decided == refused) == (status not in USABLE)
    held = after(a_sample(), holds.hold_sample(a_sample(), ID, order()))
    assert isinstance(genealogy.take(held, ID, [CHILD], Decimal(1)), SampleOnHold)


def test_an_aliquot_is_as_its_sample_but_for_what_it_says() -> None:
    """It is registered once, with its parents, and knows its own tube."""
    details = genealogy.details_of(Aliquot(barcode="LAB-2", name="a"), DETAILS)
    decided = genealogy.derive(None, CHILD, details, parent_ids=[ID], how="aliquot")
    child: Sample | None = None
    for event in decided:
        child = domain.evolve_sample(child, event, entry(*decided))

    assert child is not None
    assert (child.parent_ids, child.status) == ((ID,), SampleStatus.VALIDATED)
    assert (details.barcode, details.zone, details.volume_ul) == ("LAB-2", Zone.FROZEN, None)
    assert genealogy.derive(child, CHILD, details, parent_ids=[ID], how="aliquot") == []
    assert [link.action for link in custody.chain([entry(*decided)])] == ["derived"]


def test_a_pool_says_what_its_samples_do_not_have_in_common() -> None:
    """Two temperatures and two materials: each has to be said, then it is taken."""
    other = DETAILS.model_copy(update={"zone": Zone.ULTRA_LOW, "sample_type": SampleType.RNA})
    pool = Aliquot(barcode="POOL-1", name="pool")
    refused = genealogy.pool_details(pool, [DETAILS, other])
    assert isinstance(refused, InvalidInput)
    assert [error.field for error in refused.errors] == ["pool.sample_type", "pool.zone"]
    said = pool.model_copy(update={"zone": Zone.FROZEN, "sample_type": SampleType.DNA})
    made = genealogy.pool_details(said, [DETAILS, other])
    assert isinstance(made, SampleDetails)
    assert (made.zone, made.sample_type) == (Zone.FROZEN, SampleType.DNA)


def test_a_handover_is_recorded_once_for_each_process() -> None:
    """Two processes are two links; the same one again is none."""
    place = Place(container_id=ContainerId(ID), path="Room 1 > FRZ-1", position="A01")
    handover = Handover(sample_id=ID, origin=place, target=None)
    sample = a_sample()
    for number in range(2):
        command = RecordCustody(
            submission_id=SubmissionId(derive_id(ID, number)),
            handovers=FileRef(sha256="0" * 64, size_bytes=1, name="h.json"),
            carried_at=NOW,
            carried_by="anna",
            reason="serviced",
        )
        decided = custody.record(sample, handover, command)
        assert len(after_events(decided)) == 1
        sample = after(sample, decided)
        assert custody.record(sample, handover, command) == []
        assert custody.record(None, handover, command) == SampleNotFound(key=str(ID))
    assert len(sample.carried) == 2
