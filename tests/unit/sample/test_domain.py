"""What a sample may become, and who bears a barcode: decided without any I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.aggregate import Decision
from contracts.entry import GENESIS, Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import (
    BarcodeClaimed,
    BarcodeReleased,
    BarcodeTaken,
    ChangeSampleStatus,
    SampleDetails,
    SampleNotFound,
    SampleRegistered,
    SampleStatus,
    SampleStatusChanged,
    SampleWithdrawn,
    SubmissionClosed,
    SubmissionRegistered,
    SubmissionWithdrawn,
    TransitionRefused,
)
from contracts.types import SampleId, SampleType, SubmissionId, Zone, derive_id
from services.sample import domain
from services.sample.domain import NEXT, BarcodeClaim, ClaimUndecided, Sample, Submission

ID = SampleId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
OTHER = SampleId(derive_id(ID, "other"))
SUBMISSION = SubmissionId(derive_id(ID, "submission"))
NOW = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
GRACE = timedelta(seconds=60)
DETAILS = SampleDetails(barcode="LAB-1", name="tube", sample_type=SampleType.DNA, zone=Zone.FROZEN)
SAGAS_OWN = {SampleStatus.WITHDRAWN, SampleStatus.DISPOSED}
ENDED = {SampleStatus.ARCHIVED, *SAGAS_OWN}


def entry(*events: Event, at: datetime = NOW, seq: int = 7) -> Entry:
    """Make the entry that holds events."""
    return Entry(
        events=events,
        at=at,
        actor="anna",
        cause="m",
        correlation="c",
        number=1,
        prev_hash=GENESIS,
        seq=seq,
    )


def a_sample(status: SampleStatus, submission_id: SubmissionId | None = None) -> Sample:
    """Make a sample as its log would have it."""
    return Sample(
        sample_id=ID,
        details=DETAILS,
        status=status,
        submission_id=submission_id,
        registered_at=NOW,
        registered_by="anna",
        registered_seq=7,
        changed_at=NOW,
    )


def change(status: SampleStatus) -> ChangeSampleStatus:
    """Ask for a step."""
    return ChangeSampleStatus(sample_id=ID, status=status, reason="looks good")


def test_the_table_of_steps_speaks_of_every_status() -> None:
    """None is forgotten, none follows an end, nobody may ask for withdrawal or disposal."""
    assert set(NEXT) == set(SampleStatus)
    assert {status for status, allowed in NEXT.items() if not allowed} == ENDED
    assert all(not SAGAS_OWN & allowed for allowed in NEXT.values())
    assert all(status not in allowed for status, allowed in NEXT.items())


def test_every_status_can_be_reached_from_the_first() -> None:
    """But for withdrawal and disposal, which are sagas' own."""
    reached, look = {SampleStatus.PENDING}, [SampleStatus.PENDING]
    while look:
        for status in NEXT[look.pop()] - reached:
            reached.add(status)
            look.append(status)
    assert reached == set(SampleStatus) - SAGAS_OWN


@pytest.mark.parametrize(("old", "new"), list(product(SampleStatus, SampleStatus)))
def test_a_step_is_made_where_the_table_allows_it_and_refused_elsewhere(
    old: SampleStatus, new: SampleStatus
) -> None:
    """Every pair: the event says both ends; the refusal says what is allowed."""
    decided = domain.change_status(a_sample(old), change(new))
    if new in NEXT[old]:
        assert decided == [
            SampleStatusChanged(
                sample_id=ID, barcode="LAB-1", old_status=old, new_status=new, reason="looks good"
            )
        ]
        assert _after(a_sample(old), decided).status is new
    else:
        assert isinstance(decided, TransitionRefused)
        assert decided.allowed == (", ".join(sorted(NEXT[old])) or "nothing more")


@pytest.mark.parametrize("status", list(SampleStatus))
def test_marking_stored_moves_only_what_waits_to_be_stored(status: SampleStatus) -> None:
    """A sample whose life went on meanwhile stays as it is, and nothing is refused."""
    decided = domain.mark_stored(a_sample(status), ID)
    if status is SampleStatus.VALIDATED:
        assert _after(a_sample(status), decided).status is SampleStatus.IN_STORAGE
    else:
        assert decided == []


@pytest.mark.parametrize("status", list(SampleStatus))
def test_a_sample_of_a_submission_can_be_withdrawn_from_any_status(status: SampleStatus) -> None:
    """Once; one that was not registered with a submission never is."""
    decided = domain.withdraw(a_sample(status, SUBMISSION))
    if status is SampleStatus.WITHDRAWN:
        assert decided == []
    else:
        assert decided == [SampleWithdrawn(sample_id=ID, barcode="LAB-1", submission_id=SUBMISSION)]
        assert _after(a_sample(status), decided).status is SampleStatus.WITHDRAWN
    assert domain.withdraw(a_sample(status)) == []


def test_what_does_not_exist_is_not_found() -> None:
    """A step or a mark needs a sample; taking back nothing is nothing."""
    unknown = SampleNotFound(key=str(ID))
    assert domain.change_status(None, change(SampleStatus.VALIDATED)) == unknown
    assert domain.mark_stored(None, ID) == unknown
    assert domain.withdraw(None) == []


def test_a_sample_is_registered_once() -> None:
    """With where it stands in the log; again changes nothing."""
    decided = domain.register(None, ID, DETAILS, submission_id=SUBMISSION)
    assert [type(event) for event in decided] == [SampleRegistered]
    sample = domain.evolve_sample(None, decided[0], entry(*decided))
    assert sample == a_sample(SampleStatus.PENDING, SUBMISSION)
    assert domain.register(sample, ID, DETAILS) == []


def _after(sample: Sample, decided: Decision) -> Sample:
    assert not isinstance(decided, Refusal)
    for event in decided:
        evolved = domain.evolve_sample(sample, event, entry(event))
        assert evolved is not None
        sample = evolved
    return sample


# Barcodes


def claim(
    current: BarcodeClaim | None, sample_id: SampleId, now: datetime, *, holder_exists: bool
) -> Decision:
    """Decide on the claim of a barcode."""
    return domain.claim(
        current, "LAB-1", sample_id, holder_exists=holder_exists, now=now, grace=GRACE
    )


def held(by: SampleId | None, since: datetime = NOW) -> BarcodeClaim:
    """Make a claim."""
    return BarcodeClaim(barcode="LAB-1", holder=by, claimed_at=since)


@pytest.mark.parametrize("current", [None, held(None)], ids=["never claimed", "released"])
def test_a_free_barcode_is_claimed(current: BarcodeClaim | None) -> None:
    """Whether it was ever used before or not."""
    assert claim(current, ID, NOW, holder_exists=True) == [
        BarcodeClaimed(barcode="LAB-1", sample_id=ID)
    ]


def test_a_barcode_that_a_sample_bears_stays_taken_for_ever() -> None:
    """No grace ends that."""
    for age in (timedelta(0), GRACE, GRACE * 1_000):
        decided = claim(held(OTHER), ID, NOW + age, holder_exists=True)
        assert decided == BarcodeTaken(barcode="LAB-1", sample_id=OTHER)


def test_a_claim_without_a_sample_is_nobodys_to_judge_within_the_grace() -> None:
    """Its registration may still be under way; after the grace another may have the barcode."""
    with pytest.raises(ClaimUndecided):
        claim(held(OTHER), ID, NOW + GRACE - timedelta(seconds=1), holder_exists=False)
    assert claim(held(OTHER), ID, NOW + GRACE, holder_exists=False) == [
        BarcodeClaimed(barcode="LAB-1", sample_id=ID)
    ]


@given(age=st.timedeltas(timedelta(0), GRACE * 3))
def test_a_claim_is_renewed_long_before_another_may_take_it(age: timedelta) -> None:
    """While a sample may be registered on a claim, nobody else can have begun to take it over."""
    now = NOW + age
    mine, others = held(ID), held(OTHER)
    renewed = claim(mine, ID, now, holder_exists=True) != []
    assert renewed == (not domain.fresh(mine, now, GRACE))
    if not renewed:
        with pytest.raises(ClaimUndecided):
            claim(others, ID, now, holder_exists=False)


WISHES = st.lists(
    st.tuples(
        st.sampled_from(["claim", "release", "register"]),
        st.sampled_from([ID, OTHER, SampleId(derive_id(ID, "third"))]),
        st.timedeltas(timedelta(0), GRACE),
    ),
    max_size=20,
)


@given(wishes=WISHES)
def test_whatever_is_wished_in_whatever_order_a_barcode_has_one_bearer(
    wishes: list[tuple[str, SampleId, timedelta]],
) -> None:
    """A sample is registered only on a fresh claim of its own; no two living samples share it."""
    current: BarcodeClaim | None = None
    registered: set[SampleId] = set()
    now = NOW
    for wish, sample_id, passed in wishes:
        now += passed
        if wish == "register":
            own = current is not None and current.holder == sample_id
            if own and current is not None and domain.fresh(current, now, GRACE):
                registered.add(sample_id)
            continue
        if wish == "release":
            events: Sequence[Event] = domain.release(current, sample_id)
            registered.discard(sample_id)
        else:
            exists = current is not None and current.holder in registered
            try:
                decided = domain.claim(
                    current, "LAB-1", sample_id, holder_exists=exists, now=now, grace=GRACE
                )
            except ClaimUndecided:
                continue
            events = [] if isinstance(decided, Refusal) else decided
        for event in events:
            current = domain.evolve_claim(current, event, entry(event, at=now))
        assert len(registered) <= 1
        if registered:
            assert current is not None
            assert current.holder in registered


def test_only_its_bearer_releases_a_barcode() -> None:
    """A release by another, or of what is free, is nothing."""
    assert domain.release(held(ID), ID) == [BarcodeReleased(barcode="LAB-1", sample_id=ID)]
    assert domain.release(held(OTHER), ID) == []
    assert domain.release(held(None), ID) == []
    assert domain.release(None, ID) == []


# Submissions


def test_a_submission_registers_parts_until_it_is_withdrawn() -> None:
    """Afterwards nothing, whether anything was registered before or not."""
    first = domain.register_part(None, SUBMISSION, first_row=2, samples=450)
    assert first == [SubmissionRegistered(submission_id=SUBMISSION, first_row=2, samples=450)]
    state = _fold(None, first)
    state = _fold(state, domain.register_part(state, SUBMISSION, first_row=452, samples=50))
    assert state == Submission(submission_id=SUBMISSION, samples=500, withdrawn=False)
    for before in (state, None):
        withdrawn = _fold(before, domain.withdraw_submission(before, SUBMISSION))
        assert withdrawn.withdrawn
        late = domain.register_part(withdrawn, SUBMISSION, first_row=2, samples=1)
        assert late == SubmissionClosed(submission_id=SUBMISSION)
        assert domain.withdraw_submission(withdrawn, SUBMISSION) == []


def test_a_withdrawal_is_an_event_of_its_own() -> None:
    """It closes the submission even where nothing had been registered."""
    assert domain.withdraw_submission(None, SUBMISSION) == [
        SubmissionWithdrawn(submission_id=SUBMISSION)
    ]


def _fold(state: Submission | None, decided: Decision) -> Submission:
    assert not isinstance(decided, Refusal)
    for event in decided:
        state = domain.evolve_submission(state, event, entry(event))
    assert state is not None
    return state
