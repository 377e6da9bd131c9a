"""A saga's log in memory, and short ways to drive one saga by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.entry import GENESIS, Entry, read_entry
from contracts.errors import Refusal
from contracts.transaction import StepStatus, SubmitManifest
from contracts.types import FileRef
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Replied,
    Start,
    Transition,
    failure_of,
    start_with,
)
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import read_commands, to_entry_parts
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

    def __init__(self, definition: Definition) -> None:
        """Nothing has happened yet."""
        self.definition = definition
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

    def begin(self) -> Transition | Ignored:
        """Start the saga with the manifest."""
        return self.decide(self.start_input())

    def start_input(self) -> Start:
        """Make the input that starts it."""
        return start_with(
            MANIFEST,
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
                result=result or default,
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
