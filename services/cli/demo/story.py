"""What the demo does, in order, and what must come of each part; the first surprise ends it."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from contracts.errors import Problem
from contracts.event import ListEvents, TimelineEntry
from contracts.lab import TemperatureRead
from contracts.sample import GetSampleByBarcode, ListSamples
from contracts.storage import ContainerView, GetCapacity, GetGrid, ListPositions, PositionState
from contracts.transaction import (
    ExportTransaction,
    StepStatus,
    SubmissionView,
    TransactionStatus,
    TransactionView,
)
from contracts.types import SampleType, SubmissionId, Zone
from infra.bus.bus import Bus
from infra.clock import SYSTEM
from infra.http.client import API, EdgeClient, EdgeRefusedError
from sagas.replay.replay import replay
from services.cli.demo import show
from services.cli.demo.laboratory import furnish
from services.cli.running import RunInfo
from services.cli.submit import read_manifest, send, watch

ROWS = 20
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05
NOT_FOUND = 404


class Surprise(Exception):
    """Something did not come out as it should."""


def expect(truth: object, otherwise: str) -> None:
    """Go on where it is so.

    Raises:
        Surprise: it is not.
    """
    if not truth:
        raise Surprise(otherwise)


class Story:
    """The demo, told once."""

    def __init__(self, info: RunInfo, examples: Path) -> None:
        """Take where everything is."""
        if info.edge_url is None:
            raise Surprise("the edge is not up")
        self._info = info
        self._examples = examples
        self._edge_url = info.edge_url
        self._ended: list[TransactionView] = []

    async def tell(self) -> None:
        """Tell all of it.

        Raises:
            Surprise: something did not come out as it should.
        """
        started = SYSTEM.monotonic()
        async with EdgeClient(self._edge_url, actor="demo") as edge:
            show.heading("A laboratory")
            boxes = await furnish(edge)
            show.say(f"Room 1 with {len(boxes)} freezers; HTTP at {self._edge_url}/docs")
            await self._store(edge, "manifest-20.csv")
            await self._store(edge, "manifest-20.xlsx")
            await self._show_boxes(edge, boxes)
            await self._refuse_bad_rows(edge)
            await self._undo(edge)
            await self._hear_an_instrument(edge)
            await self._replay(edge)
        self._say_where_to_look(SYSTEM.monotonic() - started)

    # A manifest that becomes stored samples

    async def _store(self, edge: EdgeClient, name: str) -> None:
        show.heading(f"{name}: {ROWS} samples come in")
        view = await self._submit(edge, name)
        expect(view.status is TransactionStatus.COMPLETED, f"{name} ended {view.status}")
        again = await self._send(edge, name)
        expect(again.repeated, f"{name} submitted twice became two submissions")
        held = await edge.ask(
            ListPositions(submission_id=SubmissionId(view.transaction_id), page_size=100)
        )
        expect(held.total == ROWS, f"{held.total} of {ROWS} samples have a position")
        expect(
            all(p.state is PositionState.OCCUPIED for p in held.items), "a position is not occupied"
        )
        entries = await self._timeline(edge, view)
        show.say("What happened, as the timeline has it:")
        show.timeline(entries)

    async def _timeline(self, edge: EdgeClient, view: TransactionView) -> list[TimelineEntry]:
        """Wait until the timeline shows the end, then give all of it, oldest first."""
        query = ListEvents(correlation=view.correlation, page_size=200)
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                entries = (await edge.ask(query)).items
                if any(entry.type == "transaction.ended" for entry in entries):
                    return entries[::-1]
                await SYSTEM.sleep(POLL_SECONDS)

    async def _show_boxes(self, edge: EdgeClient, boxes: dict[Zone, ContainerView]) -> None:
        show.heading("The boxes")
        occupied = 0
        types: list[SampleType] = []
        for box in boxes.values():
            grid = await edge.ask(GetGrid(container_id=box.container_id))
            held = [p for p in grid.positions if p.state is PositionState.OCCUPIED]
            occupied += len(held)
            types += [p.sample_type for p in held if p.sample_type is not None]
            show.box(grid)
        show.legend(types)
        expect(occupied == 2 * ROWS, f"{occupied} positions are occupied, not {2 * ROWS}")

    # Manifests that become nothing

    async def _refuse_bad_rows(self, edge: EdgeClient) -> None:
        name = "manifest-bad-rows.csv"
        show.heading(f"{name}: every fault with its cell and its remedy")
        view = await self._submit(edge, name)
        problem = self._failed_at(view, "validate")
        expect(problem.code == "template.manifest_invalid", f"{name} was refused as {problem.code}")
        expect(problem.errors, "no row was named")
        show.problems(problem.errors)
        await self._expect_nothing_of(edge, view, name)

    async def _undo(self, edge: EdgeClient) -> None:
        name = "manifest-no-room.csv"
        show.heading(f"{name}: no room at -80 °C, so all of it is undone")
        before = await edge.ask(GetCapacity())
        view = await self._submit(edge, name)
        problem = self._failed_at(view, "reserve")
        expect(problem.code == "storage.no_room", f"{name} failed with {problem.code}")
        undone = [step.name for step in view.steps if step.status is StepStatus.UNDONE]
        expect("register" in undone, "the registration was not undone")
        show.say(f"{problem.detail}")
        show.say(f"Undone: {', '.join(undone)}. What it left behind:")
        await self._expect_nothing_of(edge, view, name)
        expect(await edge.ask(GetCapacity()) == before, "positions are held that nobody has")

    def _failed_at(self, view: TransactionView, step: str) -> Problem:
        expect(view.status is TransactionStatus.COMPENSATED, f"it ended {view.status}")
        problem = view.to_problem()
        if problem is None or view.failure is None:
            raise Surprise("it failed without saying why")
        expect(view.failure.step == step, f"it failed at {view.failure.step}, not at {step}")
        return problem

    async def _expect_nothing_of(self, edge: EdgeClient, view: TransactionView, name: str) -> None:
        submission_id = SubmissionId(view.transaction_id)
        positions = await edge.ask(ListPositions(submission_id=submission_id))
        held = [p for p in positions.items if p.state is not PositionState.FREE]
        expect(not held, f"{len(held)} positions are still held")
        # Barcodes are asked of the log, which is current; lists follow it within moments.
        taken = [b for b in _barcodes(self._examples / name) if not await _is_free(edge, b)]
        expect(not taken, f"barcodes are still taken: {', '.join(taken)}")
        listed = await self._until_unlisted(edge, submission_id)
        show.say(f"  samples: {listed}   positions: {len(held)}   barcodes: {len(taken)}")

    async def _until_unlisted(self, edge: EdgeClient, submission_id: SubmissionId) -> int:
        """Wait until the list of samples shows none of a submission; give how many it shows."""
        query = ListSamples(submission_id=submission_id)
        async with asyncio.timeout(WAIT_SECONDS):
            while (listed := (await edge.ask(query)).total) > 0:
                await SYSTEM.sleep(POLL_SECONDS)
        return listed

    # An instrument

    async def _hear_an_instrument(self, edge: EdgeClient) -> None:
        show.heading("An instrument publishes, straight to NATS")
        fact = TemperatureRead.model_validate({"sensor": "FRZ-1", "celsius": "-79.4"})
        bus = await Bus.open(self._info.nats_url, source="demo")
        try:
            params = {"type": fact.contract.type}
            async with edge.live(f"{API}/events/stream", params=params) as stream:
                # The stream is open when its first comment is read; what comes later is heard.
                heard = asyncio.ensure_future(anext(aiter(stream)))
                await SYSTEM.sleep(0.2)
                stored = await bus.publish_lab(fact, source="probe-7")
                async with asyncio.timeout(WAIT_SECONDS):
                    event = await heard
        finally:
            await bus.close()
        entry = TimelineEntry.model_validate_json(event.data)
        expect(entry.seq == stored.seq, "the live stream showed another event")
        show.say(f"{entry.type} from {entry.source}: {entry.data}  (heard live as {event.id})")

    # Replay

    async def _replay(self, edge: EdgeClient) -> None:
        show.heading("The sagas, exported and replayed through today's definitions")
        exported: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory(prefix="tracseq-histories-") as folder:
            for view in self._ended:
                history = await edge.ask(ExportTransaction(transaction_id=view.transaction_id))
                file = Path(folder) / f"{view.transaction_id}.json"
                file.write_text(json.dumps(history), encoding="utf-8")
                exported.append(json.loads(file.read_text(encoding="utf-8")))
        report = replay(exported)
        expect(report.ok, f"{len(report.diverged)} histories come out differently")
        expect(report.histories == len(self._ended), "a history is missing")
        show.say(
            f"{report.histories} histories, {report.transitions} transitions: hash chains whole, "
            "every transition as recorded"
        )

    def _say_where_to_look(self, seconds: float) -> None:
        show.heading("Where to look next")
        show.say(f"All of it came out as it should, in {seconds:.1f} s.")
        show.say("  ./dev demo --keep        the same, and the laboratory stays up to look at")
        show.say("  ./dev up                 a laboratory of your own; ./dev tracseq --help")
        show.say("  docs/tour.md             follow one sample through the code")

    # Submitting

    async def _submit(self, edge: EdgeClient, name: str) -> TransactionView:
        submission = await self._send(edge, name)
        view = await watch(
            edge, submission.transaction_id, timeout_seconds=WAIT_SECONDS, quiet=False
        )
        self._ended.append(view)
        return view

    async def _send(self, edge: EdgeClient, name: str) -> SubmissionView:
        content = read_manifest(self._examples / name)
        return await send(edge, name, content, sheet=None, partial=False, emails=[])


def _barcodes(manifest: Path) -> list[str]:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    return [cell for line in lines[1:] if (cell := line.split(",")[0].strip())]


async def _is_free(edge: EdgeClient, barcode: str) -> bool:
    try:
        await edge.ask(GetSampleByBarcode(barcode=barcode))
    except EdgeRefusedError as error:
        return error.problem.status == NOT_FOUND
    return False
