"""What must hold of every simulated world, while it runs and when it has come to rest.

Each check is a sentence about sagas that knows nothing of how the engine decides. What it reads is
the logs' bytes, what the participants really did, and what was acknowledged.
"""

from typing import TYPE_CHECKING, Final

from contracts.entry import read_entry, verify_chain
from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.decision import StepCommand, Transition
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.family import child_id
from sagas.engine.machine import CLOCK_SKEW_MAX, decide
from sagas.engine.record import read_input, to_entry_parts
from sagas.engine.state import SagaState, evolve
from tests.simulation.broker import Kept
from tests.simulation.definitions import Probe

if TYPE_CHECKING:
    from tests.simulation.world import World

FORWARD_ENDS: Final = frozenset({StepStatus.DONE, StepStatus.SKIPPED})
BACK: Final = frozenset({TransactionStatus.COMPENSATED, TransactionStatus.CANCELLED})


class BrokenError(AssertionError):
    """Something that must hold does not; the text says what, of which saga."""


# While it runs


def on_append(label: str, kept: Kept, before: SagaState | None) -> None:
    """Check one new entry: a timer that led to it must be the one that counted, and be due."""
    given = kept.effects["input"]
    if given["kind"] != "due" or before is None:
        return
    name = given["name"]
    slot = name.rpartition(".")[0]
    if slot:
        counts, due_at = before.steps[slot].timer, before.steps[slot].due_at
    else:
        counts, due_at = before.timer, before.deadline
    # While a failed saga waits for a person, what else it had asked for goes on.
    closed = before.status.ended and before.status is not TransactionStatus.FAILED
    if counts != name or closed or before.status is TransactionStatus.PAUSED:
        raise BrokenError(f"{label} acted upon the stale timer {name}")
    if due_at is None or kept.state.changed_at + CLOCK_SKEW_MAX < due_at:
        raise BrokenError(f"{label} acted upon timer {name} too early, at {kept.state.changed_at}")


def on_command(label: str, log: list[Kept], command: StepCommand) -> None:
    """Check that a command that reached a participant is one that the log asked for."""
    stands = log[-1].state.steps[command.step] if log else None
    if stands is None:
        known = False
    elif command.type == Probe.contract.type:
        known = stands.probes > 0
    else:
        known = command.command_id in (stands.undone_by if command.undo else stands.asked)
    if not known:
        raise BrokenError(f"{label}: {command.step} was asked by a command that is not in the log")


# At rest


def at_rest(world: "World", *, rests: bool) -> None:
    """Check everything once nothing is under way any more."""
    if not rests:
        raise BrokenError("the world does not come to rest")
    if world.participants.bench.wrong:
        raise BrokenError(world.participants.bench.wrong[0])
    _all_began(world)
    for saga_id, log in world.broker.logs.items():
        label, state = world.labels[saga_id], log[-1].state
        definition = world.definition_of(state)
        _is_chain(label, log)
        _has_ended(label, state)
        for step in definition.steps:
            _effect_fits(label, state, step, world)
        if saga_id.int % world.deep_every == 0:
            _bytes_say_the_same(label, log, definition)
    _acknowledged_is_known(world)


def _all_began(world: "World") -> None:
    for number, saga_id in world.sagas.items():
        if not world.broker.logs.get(saga_id):
            raise BrokenError(f"s{number} never began")


def _acknowledged_is_known(world: "World") -> None:
    for input_id, saga_id in world.orchestrators.acked.items():
        known = world.broker.heard.get(saga_id, ())
        if input_id not in known and input_id not in world.orchestrators.settled:
            raise BrokenError(f"input {input_id} was acknowledged and left no trace")


def _is_chain(label: str, log: list[Kept]) -> None:
    try:
        count = verify_chain(kept.body for kept in log)
    except ValueError as error:
        raise BrokenError(f"{label}: {error}") from error
    if count != len(log):
        raise BrokenError(f"{label}: {count} of {len(log)} entries")


def _has_ended(label: str, state: SagaState) -> None:
    if not state.status.ended:
        steps = ", ".join(f"{n} {s.status} timer {s.timer}" for n, s in state.steps.items())
        raise BrokenError(f"{label} is {state.status} for ever: {steps}")
    if state.status is TransactionStatus.FAILED:
        stuck = [name for name, one in state.steps.items() if one.status is StepStatus.STUCK]
        if not stuck or state.failure is None:
            raise BrokenError(f"{label} failed and does not say at which step and why")


def _effect_fits(label: str, state: SagaState, step: Step, world: "World") -> None:
    """Net effect 0 or 1 of a step, and what the end of its saga says of it."""
    status = state.steps[step.name].status
    if state.status is TransactionStatus.COMPLETED and status not in FORWARD_ENDS:
        raise BrokenError(f"{label} is completed, and {step.name} is {status}")
    if step.awaited is not None:
        return
    net = _net_effect(state, step, world)
    allowed = {0, 1}
    if state.status is TransactionStatus.COMPLETED and status is StepStatus.DONE:
        allowed = {1}
    undone = step.undo is not None and status is not StepStatus.LEFT
    if state.status in BACK and (undone or step.kind is StepKind.PIVOT):
        allowed = {0}
    if net not in allowed:
        raise BrokenError(
            f"{label} is {state.status}, {step.name} is {status} and stands done {net} times"
        )


def _net_effect(state: SagaState, step: Step, world: "World") -> int:
    if step.saga is None:
        return len(world.participants.bench.standing.get((state.saga_id, step.name), ()))
    net = 0
    for command_id in state.steps[step.name].asked:
        log = world.broker.logs.get(child_id(command_id), [])
        # What a child left half done is its own failure, and it says so itself.
        net += sum(kept.state.status is TransactionStatus.COMPLETED for kept in log[-1:])
    return net


def _bytes_say_the_same(label: str, log: list[Kept], definition: Definition) -> None:
    """Folding the bytes gives the state; deciding again on what they record gives the entry."""
    state: SagaState | None = None
    for number, kept in enumerate(log, start=1):
        entry = read_entry(kept.body, subject="", seq=kept.seq)
        again = decide(definition, state, read_input(entry))
        if not isinstance(again, Transition) or to_entry_parts(again) != (
            entry.events,
            entry.effects,
        ):
            raise BrokenError(f"{label} #{number}: decided again, it comes out otherwise")
        for event in entry.events:
            state = evolve(state, event, entry)
        if state != kept.state:
            raise BrokenError(f"{label} #{number}: the bytes give another state than was decided")
