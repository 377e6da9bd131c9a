"""Replay: recorded histories through today's definition, beside Temporal's Replayer.

Ours have 12 transitions: five steps, of which the third is asked twice and the last is refused, and
the four before it undone. Temporal's has the five activities of a workflow that went well,
which is 35 events. Both are in memory before the clock starts; one process each, on one core.
Ours run once as they are beside Temporal's, and once from the sealed text of an export, whose
every line is checked first.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from bench.peers import environment
from bench.peers.environment import PeerMissingError
from bench.peers.protocol import Order
from bench.peers.worker import Worker, worker
from bench.report import Report
from bench.sagas.contracts import FIVE_STEPS
from contracts.entry import GENESIS, Entry, hash_of
from contracts.errors import NotFound, Refusal, Unavailable
from contracts.types import derive_id
from sagas.engine.decision import Due, Input, Replied, Start, Transition, failure_of
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from sagas.replay.export import export_lines
from sagas.replay.replay import replay
from sagas.replay.verify import read_exports

TRANSITIONS = 12
HISTORIES = 1_000
ROUNDS = 3
SECONDS = 4.0
TEMPORAL = "bench.peers.temporal_worker"
KINDS = ("sandboxed", "unsandboxed")

BEGAN: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
BETWEEN: Final = timedelta(milliseconds=20)
FAMILY: Final = UUID("018f0000-0000-7000-8000-000000000000")
WHO = "bench"

REFUSALS: Final[Mapping[str, Refusal]] = {
    "third": Unavailable(what="the freezer"),
    "fifth": NotFound(what="rack", key="R01"),
}
"""Each step's first answer where it is no good one; a participant that is unwell is asked again."""

History = Mapping[str, Any]


async def run(scale: float) -> Report:
    """Measure both; below 1, `scale` means one short round."""
    rounds, seconds = (1, 1.0) if scale < 1 else (ROUNDS, SECONDS)
    report = Report("replay")
    histories = [history(number) for number in range(HISTORIES)]
    lines = [line for one in histories for line in export_lines(one)]
    ours: list[float] = []
    from_text: list[float] = []
    temporal: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        peers = await _peers(report, stack)
        for _ in range(rounds):
            ours.append(replayed(histories, seconds=seconds))
            report.row(what="tracseq", transitions=TRANSITIONS, histories_per_second=ours[-1])
            from_text.append(judged(lines, seconds=seconds))
            report.row(what="tracseq, from sealed text", histories_per_second=from_text[-1])
            for kind, peer in peers.items():
                rate = (await peer.run(Order(at_once=1, seconds=seconds))).per_second
                temporal.setdefault(kind, []).append(rate)
                report.row(what=f"temporal {kind}", events=35, histories_per_second=rate)
    report.at_least("replayed on one core", statistics.median(ours), 10_000, "histories/s")
    report.at_least("from sealed text", statistics.median(from_text), 10_000, "histories/s")
    for kind, rates in temporal.items():
        ratio = statistics.median(a / b for a, b in zip(ours, rates, strict=True))
        report.at_least(f"over temporal, {kind}", ratio, 100, "x")
    return report


async def _peers(report: Report, stack: AsyncExitStack) -> dict[str, Worker]:
    peers: dict[str, Worker] = {}
    try:
        python = await environment.python()
        for kind in KINDS:
            peers[kind] = await stack.enter_async_context(worker(python, TEMPORAL, kind))
            await peers[kind].run(Order(at_once=1, seconds=0.5))
    except PeerMissingError as missing:
        report.row(what="temporal", skipped=str(missing))
        return {}
    return peers


def replayed(histories: Sequence[History], *, seconds: float) -> float:
    """Replay all of them again and again; give the histories per second."""
    return _per_second(lambda: histories, seconds=seconds)


def judged(lines: Sequence[bytes], *, seconds: float) -> float:
    """Check an export and replay what it holds, again and again; give the histories per second."""
    return _per_second(lambda: (one.history for one in read_exports(lines)), seconds=seconds)


def _per_second(histories: Callable[[], Iterable[History]], *, seconds: float) -> float:
    done = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        found = replay(histories(), find=_find)
        if not found.ok or found.transitions != found.histories * TRANSITIONS:
            raise RuntimeError(f"the generated histories do not replay: {found}")
        done += found.histories
    return done / (time.perf_counter() - began)


def _find(saga_type: str, version: int) -> Definition:
    if (saga_type, version) != (FIVE_STEPS.saga_type, FIVE_STEPS.version):
        raise ValueError(f"no saga is {saga_type} version {version}")
    return FIVE_STEPS


# The histories


def history(number: int) -> History:
    """Make a history as it is exported, with the engine itself; the same number, the same bytes."""
    return _Chronicle(number).write()


class _Chronicle:
    """A saga that is carried through, and what its log says of it."""

    def __init__(self, number: int) -> None:
        """Make it up; nothing is decided yet."""
        self._saga_id = derive_id(FAMILY, "saga", number)
        self._number = number
        self._refusals = dict[str, Refusal](REFUSALS)
        self._state: SagaState | None = None
        self._bodies: list[bytes] = []

    def write(self) -> History:
        """Carry it through.

        Raises:
            RuntimeError: it does not have the transitions that it should.
        """
        cause, at = self._next()
        answer = self._decide(
            Start(
                saga_id=self._saga_id,
                message={"saga": self._number},
                at=at,
                actor=WHO,
                correlation=str(self._saga_id),
                cause=cause,
            )
        )
        while not answer.state.status.ended:
            answer = self._decide(self._input(answer))
        if len(self._bodies) != TRANSITIONS:
            raise RuntimeError(f"{len(self._bodies)} transitions, not {TRANSITIONS}")
        return {
            "transaction_id": str(self._saga_id),
            "entries": [
                {"seq": seq, "body": body.decode()} for seq, body in enumerate(self._bodies, 1)
            ],
        }

    def _input(self, before: Transition) -> Input:
        """Answer what was asked; where nothing was, let the timer fire."""
        cause, at = self._next()
        if not before.commands:
            timer = before.timers[0]
            return Due(name=timer.name, at=max(at, timer.due_at), cause=cause)
        command = before.commands[0]
        refusal = self._refusals.pop(command.step, None)
        return Replied(
            step=command.step,
            command_id=command.command_id,
            at=at,
            cause=cause,
            result=None if refusal else {"saga": self._number, "step": len(self._bodies)},
            failure=failure_of(command.step, refusal) if refusal else None,
        )

    def _next(self) -> tuple[str, datetime]:
        passed = len(self._bodies)
        cause = str(derive_id(self._saga_id, "cause", passed))
        return cause, BEGAN + timedelta(minutes=self._number) + passed * BETWEEN

    def _decide(self, given: Input) -> Transition:
        answer = decide(FIVE_STEPS, self._state, given)
        if not isinstance(answer, Transition):
            raise RuntimeError(f"{given} led to {answer}")  # noqa: TRY004 - no fault of types
        events, effects = to_entry_parts(answer)
        entry = Entry(
            events=events,
            at=given.at,
            actor=WHO,
            cause=given.cause,
            correlation=str(self._saga_id),
            number=len(self._bodies) + 1,
            prev_hash=hash_of(self._bodies[-1]) if self._bodies else GENESIS,
            effects=effects,
        )
        self._state = answer.state
        self._bodies.append(entry.to_bytes())
        return answer
