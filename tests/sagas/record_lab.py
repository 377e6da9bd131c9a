"""Drive the laboratory's other sagas into their ends, for `record.py` to write down.

Each goes well, and is refused where it can be from outside; those whose services do not stand are
driven in memory, by `test_lab_sagas.py`.
"""

from collections.abc import AsyncGenerator
from decimal import Decimal

from contracts.lab_processes import (
    DisposeSamples,
    SubmitSample,
    TransferSamples,
    WithdrawConsent,
)
from contracts.transaction import SubmissionView, TransactionView
from contracts.types import Celsius, ContainerId, SampleId, Zone
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
from tests.fixtures.system import Whole

Ended = AsyncGenerator[tuple[str, TransactionView]]
"""What a history is called, and how its saga ended."""


async def ended(whole: Whole) -> Ended:
    """Give every end of every saga."""
    for course in (_submitted, _imported, _transferred, _warmed, _withdrawn, _disposed):
        async for name, view in course(whole):
            yield f"{view.saga_type}.{name}", view


async def _submitted(whole: Whole) -> Ended:
    yield "completed", await run(whole, SubmitSample(details=tube("S-1")))
    no_room = SubmitSample(details=tube("S-2", Zone.INCUBATED))
    yield "refused-at-reserve", await run(whole, no_room)


async def _imported(whole: Whole) -> Ended:
    content = csv([*rows("I", 2), ("I-3", "DNA", "-20", "-5")])
    yield "completed", await _import(whole, content)
    yield "refused-at-validate", await _import(whole, content, partial="false")


async def _import(whole: Whole, content: bytes, **fields: str) -> TransactionView:
    path = "/api/v1/submissions/imports"
    answer = await whole.http.post(path, files={"file": ("i.csv", content)}, data=fields)
    return await whole.ended(SubmissionView.model_validate_json(answer.content).transaction_id)


async def _transferred(whole: Whole) -> Ended:
    sample_id, target = await stored(whole, "T-1"), await small_box(whole, "T")

    def transfer(read_celsius: Celsius) -> TransferSamples:
        return TransferSamples(
            sample_ids=[sample_id],
            target_id=target.container_id,
            reason="making room",
            witnessed_by="grace",
            temperature_celsius=read_celsius,
        )

    yield "refused-at-check", await run(whole, transfer(Decimal(4)))
    yield "completed", await run(whole, transfer(Decimal(-20)))


async def _warmed(whole: Whole) -> Ended:
    yield "refused-at-find", await run(whole, excursion(ContainerId(new_id())))
    sample_id, place = await stored(whole, "W-1"), await small_box(whole, "W")
    yield "completed-empty", await run(whole, excursion(place.container_id))
    transfer = TransferSamples(
        sample_ids=[sample_id], target_id=place.container_id, reason="making room"
    )
    await run(whole, transfer)
    for outcome in ("released", "discarded"):
        process = await begin(whole, excursion(place.container_id))
        await awaiting(whole, process)
        await tell(whole, "grace", process, "decision", outcome=outcome)
        yield f"completed-{outcome}", await whole.ended(process)


async def _withdrawn(whole: Whole) -> Ended:
    for name, sample_id in (
        ("completed", await stored(whole, "C-1")),
        ("refused-at-find", SampleId(new_id())),
    ):
        withdrawal = WithdrawConsent(sample_ids=[sample_id], reason="letter of 3 March")
        yield name, await run(whole, withdrawal)


async def _disposed(whole: Whole) -> Ended:
    disposal = DisposeSamples(
        sample_ids=[await stored(whole, "G-1")],
        reason="study has ended",
        approvers=["grace", "lise"],
    )
    for name, approved in (("refused-at-approve", False), ("completed", True)):
        process = await begin(whole, disposal)
        await awaiting(whole, process)
        await approve(whole, "grace", process)
        await approve(whole, "lise", process, approved=approved)
        yield name, await whole.ended(process)
