"""A saga's log in memory, and short ways to drive one saga by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.entry import GENESIS, Entry, read_entry
from contracts.errors import Refusal, Unavailable
from contracts.message import Command
from contracts.saga_events import ForkPoint, ParentStep
from contracts.transaction import OrderKind, StepStatus, SubmitManifest, TransactionStatus
from contracts.types import FileRef
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Ordered,
    Replied,
    Reused,
    Signalled,
    Start,
    Target,
    Transition,
    failure_of,
    start_with,
)
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import read_commands, read_input, to_entry_parts
from sagas.engine.state import SagaState, fold

SAGA = UUID("0198a000-0000-7000-8000-000000000001")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FILE = FileRef(sha256="a" * 64, size_bytes=10, name="batch.csv", media_type="text/csv")
ROWS = FileRef(sha256="b" * 64, size_bytes=20, name="rows.json").model_dump(mode="json")
MANIFEST = SubmitManifest(file=FILE, emails=["lab@example.org"])

ANSWERS: dict[str, dict[str, Any]] = {
    "template.validate_manifest": {
        "submission_id": str(SAGA),
        "rows": ROWS,
        "accepted": 20,
        "rejected": 0,
        "zones": [],
        "problems": [],
        "warnings": [],
    },
    "sample.register_many": {"submission_id": str(SAGA), "registered": 20},
    "storage.reserve_positions": {
        "submission_id": str(SAGA),
        "state": "held",
        "positions": 20,
        "boxes": [],
        "expires_at": None,
    },
}
"""What participants answer, by command type; the others answer with the submission's id."""


def answer_to(command_type: str) -> dict[str, Any]:
    """Give a participant's answer to a command."""
    return ANSWERS.get(command_type, {"submission_id": str(SAGA)})


class Chronicle:
    """One saga and its log. Each `reply` and `due` is an input with an id of its own."""

    def __init__(self, definition: Definition, message: Command[Any] = MANIFEST) -> None:
        """Nothing has happened yet."""
        self.definition = definition
        self.definitions = {definition.hash: definition}
        """Every one that the saga went by."""
        self.message = message
        self.entries: list[Entry] = []
        self.bodies: list[bytes] = []
        self.state: SagaState | None = None
        self.now = NOON
        self._inputs = 0

    @property
    def saga(self) -> SagaState:
        """The state, which must be there."""
        assert self.state is not None
        return self.state

    def decide(self, given: Input) -> Transition | Ignored:
        """Decide, and append what was decided as the transaction service does."""
        outcome = decide(self.definition, self.state, given)
        if isinstance(outcome, Transition):
            self._append(outcome)
        return outcome

    def begin(
        self,
        *,
        parent: ParentStep | None = None,
        forked_from: ForkPoint | None = None,
        reused: Mapping[str, Reused] | None = None,
    ) -> Transition | Ignored:
        """Start the saga with its message."""
        plain = self.start_input()
        return self.decide(
            replace(plain, parent=parent, forked_from=forked_from, reused=reused or {})
        )

    def start_input(self) -> Start:
        """Make the input that starts it."""
        return start_with(
            self.message,
            saga_id=SAGA,
            at=self.now,
            actor="ada",
            correlation="request-1",
            cause=self._cause(),
        )

    def reply(
        self,
        step: str,
        *,
        refusal: Refusal | None = None,
        command_id: UUID | None = None,
        result: dict[str, Any] | None = None,
    ) -> Transition | Ignored:
        """Answer a step: the awaited command unless another is named."""
        awaited = command_id or self.saga.steps[step].command_id
        assert awaited is not None, f"step {step} awaits nothing"
        asked = {one.command_id: one.type for e in self.entries for one in read_commands(e.effects)}
        default = None if refusal else answer_to(asked.get(awaited, ""))
        return self.decide(
            Replied(
                step=step,
                command_id=awaited,
                at=self.now,
                cause=self._cause(),
                result=None if refusal else (result or default),
                failure=failure_of(step, refusal) if refusal else None,
            )
        )

    def due(self, step: str) -> Transition | Ignored:
        """Let time pass until the timer of a step fires."""
        stands = self.saga.steps[step]
        assert stands.timer is not None
        assert stands.due_at is not None, f"step {step} waits for no timer"
        self.now = max(self.now, stands.due_at)
        return self.decide(Due(name=stands.timer, at=self.now, cause=self._cause()))

    def deadline(self) -> Transition | Ignored:
        """Let time pass until the deadline of the whole saga."""
        assert self.saga.timer is not None
        assert self.saga.deadline is not None
        self.now = max(self.now, self.saga.deadline)
        return self.decide(Due(name=self.saga.timer, at=self.now, cause=self._cause()))

    def probed(
        self, step: str, *, done: bool | None, result: dict[str, Any] | None = None
    ) -> Transition | Ignored:
        """Answer what became of a step; None where the probe itself is refused."""
        refusal = Unavailable(what="the register") if done is None else None
        probe = self.saga.steps[step].probe_id
        assert probe is not None, f"nobody asks what became of {step}"
        told = {"done": done, "result": result or {}}
        return self.reply(step, command_id=probe, refusal=refusal, result=told)

    def signal(self, signal: str, by: str, **data: object) -> Transition | Ignored:
        """Send a signal."""
        return self.decide(
            Signalled(signal=signal, data=data, by=by, at=self.now, cause=self._cause())
        )

    def approve(self, by: str, *, approved: bool = True) -> Transition | Ignored:
        """Say yes, or no, to what waits for approval."""
        return self.signal("approval", by, approved=approved)

    def order(
        self,
        order: OrderKind,
        *,
        step: str | None = None,
        output: Mapping[str, Any] | None = None,
        target: Target | None = None,
        command_id: UUID | None = None,
    ) -> Transition | Ignored:
        """Give an order by hand."""
        return self.decide(
            Ordered(
                order=order,
                reason="said by hand",
                by="grace",
                at=self.now,
                cause=self._cause(),
                step=step,
                output=output,
                target=target,
                command_id=command_id,
            )
        )

    def migrate(self, definition: Definition) -> Transition | Ignored:
        """Order the saga to go on under another version; decide by that one from then on."""
        steps = tuple(step.name for step in definition.steps)
        target = Target(version=definition.version, hash=definition.hash, steps=steps)
        outcome = self.order(OrderKind.MIGRATE, target=target)
        if isinstance(outcome, Transition):
            self.definition = definition
            self.definitions[definition.hash] = definition
        return outcome

    def give_up(self, step: str) -> Transition | Ignored:
        """Let nobody answer a step until its attempts are used up; give the last transition."""
        before = self.saga.steps[step].status
        while True:
            outcome = self.due(step)
            if self.saga.steps[step].status is not before:
                return outcome

    def verify(self) -> None:
        """Decide everything again from the bytes of the log, which give the state back too."""
        entries = [
            read_entry(body, subject="saga", seq=number)
            for number, body in enumerate(self.bodies, start=1)
        ]
        state: SagaState | None = None
        for entry in entries:
            hash_then = state.definition_hash if state else next(iter(self.definitions))
            again = decide(self.definitions[hash_then], state, read_input(entry))
            assert isinstance(again, Transition), (entry.number, again)
            assert again.events == entry.events
            assert to_entry_parts(again)[1] == entry.effects
            state = again.state
        assert state == self.state
        assert fold(entries) == self.state

    def status(self) -> TransactionStatus:
        """Say where the saga stands."""
        return self.saga.status

    def run_to(self, step: str) -> None:
        """Start, and answer every step before this one, which is asked then."""
        self.begin()
        for one in self.definition.steps:
            if one.name == step:
                return
            self.reply(one.name)

    def statuses(self) -> dict[str, StepStatus]:
        """Say where every step stands."""
        return {name: step.status for name, step in self.saga.steps.items()}

    def refold(self) -> SagaState | None:
        """Rebuild the state from the bytes of the log."""
        return fold(
            read_entry(body, subject="", seq=number)
            for number, body in enumerate(self.bodies, start=1)
        )

    def export(self) -> dict[str, Any]:
        """Give the history as the transaction service exports it."""
        entries = [
            {"seq": number, "body": body.decode()}
            for number, body in enumerate(self.bodies, start=1)
        ]
        return {"transaction_id": str(SAGA), "entries": entries}

    def _append(self, transition: Transition) -> None:
        events, effects = to_entry_parts(transition)
        given = transition.input
        entry = Entry(
            events=events,
            at=given.at,
            actor=transition.state.actor,
            cause=given.cause,
            correlation=transition.state.correlation,
            number=len(self.entries) + 1,
            prev_hash=self.entries[-1].hash if self.entries else GENESIS,
            effects=effects,
        )
        body = entry.to_bytes()
        self.bodies.append(body)
        self.entries.append(read_entry(body, subject="saga", seq=len(self.bodies)))
        self.state = transition.state
        self.now += timedelta(milliseconds=5)

    def _cause(self) -> str:
        self._inputs += 1
        return f"input-{self._inputs}"
