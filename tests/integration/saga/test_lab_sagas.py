"""The laboratory's own sagas through the whole system: begun over HTTP, followed to their ends.

Each goes well once, and once goes wrong and leaves nothing behind. Those whose services do not
stand yet are refused.
"""

from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from contracts.lab_processes import (
    BeginRun,
    CompleteRun,
    DisposeSamples,
    SubmitSample,
    TransferSamples,
    WithdrawConsent,
)
from contracts.library import PlannedLibrary
from contracts.message import Command
from contracts.notification import ListNotifications
from contracts.sample import (
    Aliquot,
    CustodyChain,
    DeriveSamples,
    GetCustody,
    GetSample,
    GetSampleByBarcode,
    PoolSamples,
    SampleStatus,
)
from contracts.sequencing import ReadPlan
from contracts.storage import (
    ContainerView,
    FindSamplePosition,
    GetContainer,
    ListPositions,
    PositionState,
    SampleNotStored,
)
from contracts.transaction import (
    StepStatus,
    SubmissionView,
    TransactionStatus,
    TransactionView,
)
from contracts.types import (
    ContainerId,
    SampleId,
    SubmissionId,
    TransactionId,
    Zone,
)
from infra.http.client import EdgeRefusedError
from infra.ids import new_id
from tests.fixtures.lab_processes import (
    approve,
    awaiting,
    begin,
    excursion,
    run,
    small_box,
    stored,
    tell,
    tube,
)
from tests.fixtures.manifests import csv, rows
from tests.fixtures.system import Whole, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("lab-sagas")]

IMPORTS = "/api/v1/submissions/imports"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Whole]:
    """Give a system; every test has its own barcodes and boxes."""
    folder: Path = tmp_path_factory.mktemp("lab-sagas")
    async with whole_system(folder) as whole:
        yield whole


# What is asked of it


async def place_of(whole: Whole, sample_id: SampleId) -> ContainerId | None:
    """Say in which box a sample rests; None where it rests nowhere."""
    try:
        found = await whole.edge.ask(FindSamplePosition(sample_id=sample_id))
    except EdgeRefusedError as refused:
        if refused.problem.code == SampleNotStored.spec.code:
            return None
        raise
    assert found.state is PositionState.OCCUPIED
    return found.container_id


async def holds_of(whole: Whole, sample_id: SampleId) -> list[str]:
    """Name the kinds of the holds on a sample."""
    return [hold.kind for hold in (await whole.edge.ask(GetSample(sample_id=sample_id))).holds]


async def status_of(whole: Whole, sample_id: SampleId) -> SampleStatus:
    """Say where a sample stands."""
    return (await whole.edge.ask(GetSample(sample_id=sample_id))).status


async def custody_of(whole: Whole, sample_id: SampleId) -> CustodyChain:
    """Give who had a sample in hand."""
    return await whole.edge.ask(GetCustody(sample_id=sample_id))


async def titles_of(whole: Whole, transaction_id: TransactionId) -> list[str]:
    """List what was told about a process, newest first."""
    query = ListNotifications(page_size=1_000, min_seq=await whole.head("notification"))
    page = await whole.edge.ask(query)
    return [one.title for one in page.items if str(transaction_id) in one.message]


async def positions_held(whole: Whole, transaction_id: TransactionId) -> int:
    """Count the positions that a process holds."""
    query = ListPositions(submission_id=SubmissionId(transaction_id))
    return (await whole.edge.ask(query)).total


async def used_of(whole: Whole, container: ContainerView) -> int:
    """Count the positions of a box that are occupied or held."""
    return (await whole.edge.ask(GetContainer(container_id=container.container_id))).used


def steps_of(view: TransactionView) -> dict[str, StepStatus]:
    """Say where every step stands."""
    return {step.name: step.status for step in view.steps}


def expect_undone(view: TransactionView, step: str, code: str) -> None:
    """Check that a process was undone because a step was refused."""
    assert view.status is TransactionStatus.COMPENSATED, view
    assert view.failure is not None
    assert (view.failure.step, view.failure.code) == (step, code)


# One sample by form


async def test_a_form_becomes_a_stored_sample(whole: Whole) -> None:
    """It rests in a position of its temperature, is told once, and is found by its barcode."""
    view = await run(whole, SubmitSample(details=tube("FORM-1")))
    assert set(steps_of(view).values()) == {StepStatus.DONE}
    assert view.attributes["barcode"] == "FORM-1"
    sample = await whole.edge.ask(GetSampleByBarcode(barcode="FORM-1"))
    assert (sample.status, sample.submission_id) == (
        SampleStatus.IN_STORAGE,
        SubmissionId(view.transaction_id),
    )
    place = await place_of(whole, sample.sample_id)
    assert place is not None
    assert (await whole.edge.ask(GetContainer(container_id=place))).zone is Zone.FROZEN
    assert await titles_of(whole, view.transaction_id) == ["Sample FORM-1 is stored"]


async def test_a_form_for_which_there_is_no_room_leaves_nothing(whole: Whole) -> None:
    """No incubator stands here: the registration is taken back, and the barcode is free."""
    view = await run(whole, SubmitSample(details=tube("FORM-2", Zone.INCUBATED)))
    expect_undone(view, "reserve", "storage.no_room")
    assert steps_of(view)["register"] is StepStatus.UNDONE
    with pytest.raises(EdgeRefusedError, match=r"sample\.not_found"):
        await whole.edge.ask(GetSampleByBarcode(barcode="FORM-2"))
    assert await positions_held(whole, view.transaction_id) == 0
    assert await titles_of(whole, view.transaction_id) == []


# Manifests row by row


async def imported(whole: Whole, content: bytes, **fields: str) -> TransactionView:
    """Import a manifest as a browser would."""
    answer = await whole.http.post(IMPORTS, files={"file": ("bulk.csv", content)}, data=fields)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return await whole.ended(SubmissionView.model_validate_json(answer.content).transaction_id)


async def test_an_import_takes_what_it_can_and_says_the_rest(whole: Whole) -> None:
    """Of four rows one is unfit and one has a taken barcode: two become stored samples."""
    await stored(whole, "BULK-0002")
    table = [*rows("BULK", 3), ("BULK-0004", "DNA", "-20", "-5")]
    view = await imported(whole, csv(table))
    assert view.status is TransactionStatus.COMPLETED, view
    told = view.result
    assert (told["register"]["registered"], told["register"]["refused"]) == (2, 0)
    assert {problem["row"] for problem in told["validate"]["problems"]} == {3, 5}
    assert await positions_held(whole, view.transaction_id) == 2
    assert await titles_of(whole, view.transaction_id) == [
        "2 samples of bulk.csv were imported, 2 at validation and 0 at registration refused"
    ]


async def test_an_import_that_must_be_whole_leaves_nothing(whole: Whole) -> None:
    """Without `partial` one taken barcode takes the others back."""
    await stored(whole, "ALL-0002")
    view = await imported(whole, csv(rows("ALL", 3)), partial="false")
    expect_undone(view, "validate", "template.manifest_invalid")
    for barcode in ("ALL-0001", "ALL-0003"):
        with pytest.raises(EdgeRefusedError, match=r"sample\.not_found"):
            await whole.edge.ask(GetSampleByBarcode(barcode=barcode))
    assert await positions_held(whole, view.transaction_id) == 0


# Carrying samples


async def test_samples_are_carried_with_their_custody(whole: Whole) -> None:
    """They rest at the target, and the chain says who carried them, who saw it, and how cold."""
    sample_ids = [await stored(whole, "MOVE-1"), await stored(whole, "MOVE-2")]
    target = await small_box(whole, "MOVE")
    transfer = TransferSamples(
        sample_ids=sample_ids,
        target_id=target.container_id,
        reason="making room",
        witnessed_by="grace",
        temperature_celsius=Decimal("-20.5"),
    )
    view = await run(whole, transfer)
    assert view.status is TransactionStatus.COMPLETED, view
    assert {await place_of(whole, one) for one in sample_ids} == {target.container_id}
    moved = (await custody_of(whole, sample_ids[0])).entries[-1]
    assert (moved.action, moved.by, moved.witnessed_by) == ("moved", "ada", "grace")
    assert moved.temperature_celsius == Decimal("-20.5")
    assert await titles_of(whole, view.transaction_id) == [
        f"2 samples were carried to {target.path}"
    ]


async def test_a_target_that_is_too_warm_is_refused(whole: Whole) -> None:
    """The samples stay where they are, and no position is held at the target."""
    sample_id = await stored(whole, "WARM-1")
    place = await place_of(whole, sample_id)
    target = await small_box(whole, "WARM")
    transfer = TransferSamples(
        sample_ids=[sample_id],
        target_id=target.container_id,
        reason="making room",
        temperature_celsius=Decimal(4),
    )
    view = await run(whole, transfer)
    expect_undone(view, "check", "storage.temperature_off")
    assert place is not None
    assert await place_of(whole, sample_id) == place
    assert await used_of(whole, target) == 0
    assert await titles_of(whole, view.transaction_id) == []


# Excursions


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("released", SampleStatus.IN_STORAGE), ("discarded", SampleStatus.DISCARDED)],
)
async def test_what_got_warm_is_held_until_a_person_decided(
    whole: Whole, outcome: str, status: SampleStatus
) -> None:
    """Nobody but the reviewer decides; what was decided is done, and the hold is over."""
    sample_id = await stored(whole, f"HEAT-{outcome}".upper())
    place = await small_box(whole, f"HEAT {outcome}")
    transfer = TransferSamples(
        sample_ids=[sample_id], target_id=place.container_id, reason="for the test"
    )
    await run(whole, transfer)
    process = await begin(whole, excursion(place.container_id))
    view = await awaiting(whole, process)
    assert [(one.signal, one.allowed) for one in view.awaits] == [("decision", ["grace"])]
    assert await holds_of(whole, sample_id) == ["quarantine"]
    with pytest.raises(EdgeRefusedError, match=r"signal_not_allowed"):
        await tell(whole, "mallory", process, "decision", outcome=outcome)

    await tell(whole, "grace", process, "decision", outcome=outcome)
    ended = await whole.ended(process)

    assert ended.status is TransactionStatus.COMPLETED, ended
    assert await holds_of(whole, sample_id) == []
    assert await status_of(whole, sample_id) is status
    assert await titles_of(whole, process) == [
        f"Samples of {place.path} were {outcome}",
        f"Temperature excursion in {place.path}: 1 samples on hold",
    ]


async def test_an_excursion_of_an_unknown_place_holds_nothing(whole: Whole) -> None:
    """The saga ends before its point of no return, and nobody is alerted."""
    view = await run(whole, excursion(ContainerId(new_id())))
    expect_undone(view, "find", "storage.container_not_found")
    assert steps_of(view)["quarantine"] is StepStatus.WAITING
    assert await titles_of(whole, view.transaction_id) == []


# Consent


async def test_withdrawn_consent_holds_all_that_was_made_of_a_sample(whole: Whole) -> None:
    """Neither the sample nor its aliquot can be pooled any more."""
    sample_id = await stored(whole, "GIVEN-1")
    derived = await whole.edge.ask(
        DeriveSamples(
            sample_id=sample_id,
            aliquots=[Aliquot(barcode="GIVEN-1A", name="aliquot", volume_ul=Decimal(5))],
        )
    )
    (aliquot,) = derived.samples
    withdrawal = WithdrawConsent(sample_ids=[sample_id], reason="letter of 3 March")
    view = await run(whole, withdrawal)
    assert view.status is TransactionStatus.COMPLETED, view
    for held in (sample_id, aliquot.sample_id):
        assert await holds_of(whole, held) == ["consent"]
    pool = PoolSamples(parent_ids=[aliquot.sample_id], pool=Aliquot(barcode="GIVEN-P", name="pool"))
    with pytest.raises(EdgeRefusedError, match=r"sample\.on_hold"):
        await whole.edge.ask(pool)
    assert await titles_of(whole, view.transaction_id) == ["Consent withdrawn: 2 samples on hold"]


async def test_a_withdrawal_that_names_an_unknown_sample_holds_none(whole: Whole) -> None:
    """All are held, or none: the id was mistyped, and somebody has to look."""
    sample_id = await stored(whole, "GIVEN-2")
    withdrawal = WithdrawConsent(
        sample_ids=[sample_id, SampleId(new_id())], reason="letter of 3 March"
    )
    view = await run(whole, withdrawal)
    expect_undone(view, "find", "sample.samples_refused")
    assert await holds_of(whole, sample_id) == []
    assert await titles_of(whole, view.transaction_id) == []


# Disposal


def disposal(*sample_ids: SampleId) -> DisposeSamples:
    """Ask for samples to be destroyed; ada asks, and is named among who may approve."""
    return DisposeSamples(
        sample_ids=list(sample_ids), reason="study has ended", approvers=["ada", "grace", "lise"]
    )


async def test_samples_are_destroyed_once_two_others_approved(whole: Whole) -> None:
    """Whoever asked cannot approve; the tubes leave storage, and custody ends with it."""
    sample_id = await stored(whole, "GONE-1")
    process = await begin(whole, disposal(sample_id))
    await awaiting(whole, process)
    assert await holds_of(whole, sample_id) == ["disposal"]
    with pytest.raises(EdgeRefusedError, match=r"signal_not_allowed"):
        await approve(whole, "ada", process)
    await approve(whole, "grace", process)
    await approve(whole, "grace", process)
    assert (await awaiting(whole, process)).awaits[0].given_by == ["grace"]

    await approve(whole, "lise", process)
    view = await whole.ended(process)

    assert view.status is TransactionStatus.COMPLETED, view
    assert await status_of(whole, sample_id) is SampleStatus.DISPOSED
    assert await place_of(whole, sample_id) is None
    actions = [entry.action for entry in (await custody_of(whole, sample_id)).entries]
    assert actions[-2:] == ["removed", "disposed"]
    assert await titles_of(whole, process) == ["1 samples were disposed of"]


async def test_a_disposal_that_is_denied_frees_the_samples(whole: Whole) -> None:
    """They rest where they did, on no hold, and nobody is told that they are gone."""
    sample_id = await stored(whole, "KEEP-1")
    place = await place_of(whole, sample_id)
    process = await begin(whole, disposal(sample_id))
    await awaiting(whole, process)
    await approve(whole, "grace", process, approved=False)
    view = await whole.ended(process)
    expect_undone(view, "approve", "transaction.approval_denied")
    assert await holds_of(whole, sample_id) == []
    assert await status_of(whole, sample_id) is SampleStatus.IN_STORAGE
    assert place is not None
    assert await place_of(whole, sample_id) == place
    assert await titles_of(whole, process) == []


# Services that do not stand


@pytest.mark.parametrize(
    "command",
    [
        BeginRun(
            run="RUN-1",
            instrument="NovaSeq-1",
            flow_cell="FC-1",
            reads=ReadPlan(read1_cycles=151),
            libraries=[PlannedLibrary(sample_id=SampleId(new_id()), lane=1, volume_ul=Decimal(5))],
        ),
        CompleteRun(run="RUN-1", folder="RUN-1", reviewers=["grace"]),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_a_process_whose_services_do_not_stand_is_refused(
    whole: Whole, command: Command[SubmissionView]
) -> None:
    """The refusal names the services, and no transaction begins."""
    with pytest.raises(EdgeRefusedError, match=r"services_missing") as refused:
        await whole.edge.ask(command)
    assert "sequencing" in str(refused.value)
