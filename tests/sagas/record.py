"""Record what sagas really did, for `test_histories.py`; run by hand, from the repository's root.

    .venv/bin/python -m tests.sagas.record

It runs a system of its own, drives one submission into every end that the intake has and the other
sagas into theirs (see `record_lab.py`), and writes each saga's log to `tests/sagas/histories`, an
entry per line. Recorded files are never edited: a
history that does not replay any more says that a definition changed without a new version.
"""

import asyncio
import json
import signal
import tempfile
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from contracts.storage import ListPositions, ReleasePositions
from contracts.transaction import (
    ExportTransaction,
    GetTransaction,
    StepStatus,
    SubmissionView,
    TransactionStatus,
    TransactionView,
)
from contracts.types import SubmissionId, TransactionId
from infra.clock import SYSTEM
from tests.fixtures.manifests import csv, manifest, rows
from tests.fixtures.system import Whole, whole_system
from tests.sagas import record_lab

FOLDER = Path(__file__).with_name("histories")
DEADLINE_SECONDS = 60.0
"""Of the intake's step `reserve`."""
POLL_SECONDS = 0.01
RACERS = 8


async def main() -> None:
    """Record every history anew."""
    with tempfile.TemporaryDirectory(prefix="tracseq-record-") as folder:
        async with whole_system(Path(folder), isolated=True) as whole:
            await write(whole, "completed", await whole.take("a.csv", manifest("A", 3)))
            bad = csv([*rows("B", 1), ("B-2", "DNA", "-20", "-5")])
            await write(whole, "refused-at-validate", await whole.take("b.csv", bad))
            partial = await whole.take("b.csv", bad, partial=True)
            await write(whole, "completed-partial", partial)
            full = await whole.take("c.csv", manifest("C", 10, zone="-80"))
            await write(whole, "refused-at-reserve", full)
            await write(whole, "refused-at-register", await overtaken(whole))
            await write(whole, "refused-at-store", await released_before_stored(whole))
            await write(whole, "completed-after-kill", await killed_at_work(whole))
            await write(whole, "completed-after-deadline", await away_beyond_deadline(whole))
            async for name, view in record_lab.ended(whole):
                await write(whole, name, view)


async def overtaken(whole: Whole) -> TransactionView:
    """Submit files that hold the same barcodes at once; give one whose registration was refused."""
    race = 0
    while True:
        # Barcodes of its own: those of an earlier race are taken, which the validation would see.
        race += 1
        views = await asyncio.gather(
            *(
                whole.take(
                    f"d{number}.csv", csv([*rows(f"D{race}", 2), *rows(f"D{race}-{number}", 1)])
                )
                for number in range(RACERS)
            )
        )
        for view in views:
            if view.failure is not None and view.failure.step == "register":
                return view


async def released_before_stored(whole: Whole) -> TransactionView:
    """Release the positions of a submission between its reservation and its confirmation."""
    async with AsyncExitStack() as transaction_stopped:
        with stopped(whole, "storage"):
            transaction_id = await submitted(whole, "e.csv", manifest("E", 2))
            await until_asked(whole, transaction_id, "reserve")
            transaction_stopped.enter_context(stopped(whole, "transaction"))
        submission_id = SubmissionId(transaction_id)
        query = ListPositions(submission_id=submission_id)
        while not (await whole.bus.ask(query)).total:
            await SYSTEM.sleep(POLL_SECONDS)
        await whole.bus.ask(ReleasePositions(submission_id=submission_id))
    return await whole.ended(transaction_id)


async def killed_at_work(whole: Whole) -> TransactionView:
    """Kill the participant that holds the command, and the transaction service with it."""
    with stopped(whole, "storage"):
        transaction_id = await submitted(whole, "f.csv", manifest("F", 3))
        await until_asked(whole, transaction_id, "reserve")
        await whole.kill("transaction")
        await whole.kill("storage")
        await whole.until_ready("storage")
    await whole.until_ready("transaction")
    return await whole.ended(transaction_id)


async def away_beyond_deadline(whole: Whole) -> TransactionView:
    """Keep a participant away until the saga asks it once more."""
    async with whole.without("storage"):
        transaction_id = await submitted(whole, "g.csv", manifest("G", 3))
        await SYSTEM.sleep(DEADLINE_SECONDS + 3)
    return await whole.ended(transaction_id)


@contextmanager
def stopped(whole: Whole, name: str) -> Generator[None]:
    """Let a process stand still for a while."""
    whole.signal(name, signal.SIGSTOP)
    try:
        yield
    finally:
        whole.signal(name, signal.SIGCONT)


async def submitted(whole: Whole, name: str, content: bytes) -> TransactionId:
    """Hand in a manifest, and give its transaction."""
    answer = await whole.submit(name, content)
    return SubmissionView.model_validate_json(answer.content).transaction_id


async def until_asked(whole: Whole, transaction_id: TransactionId, step: str) -> None:
    """Wait until a step was asked for."""
    query = GetTransaction(transaction_id=transaction_id)
    while True:
        view = await whole.edge.ask(query)
        if any(one.name == step and one.status is StepStatus.ASKED for one in view.steps):
            return
        await SYSTEM.sleep(POLL_SECONDS)


async def write(whole: Whole, name: str, view: TransactionView) -> None:
    """Write a saga's log, if it ended as the name says.

    Raises:
        RuntimeError: it ended otherwise; record again.
    """
    end = name.rpartition(".")[2]
    refused_at = end.removeprefix("refused-at-") if end.startswith("refused-at-") else None
    step = view.failure.step if view.failure is not None else None
    status = TransactionStatus.COMPENSATED if refused_at else TransactionStatus.COMPLETED
    if (view.status, step) != (status, refused_at):
        raise RuntimeError(f"{name} ended {view.status} at {step}")
    exported = await whole.edge.ask(ExportTransaction(transaction_id=view.transaction_id))
    lines = [json.dumps(entry, ensure_ascii=False) for entry in exported["entries"]]
    (FOLDER / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{name}: {len(lines)} entries")  # noqa: T201 - a script tells what it did


if __name__ == "__main__":
    asyncio.run(main())
