"""How a transition is written into its log entry, and how its input is read back from there.

Large parts (start message, answers) stand once, in the events; `effects` holds the rest. Nothing is
appended here: the caller makes the entry of the events and the effects.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from contracts.message import Event
from contracts.saga_events import (
    ParentStep,
    SagaMigrated,
    SagaStarted,
    StepAnswered,
    StepReused,
    StepSignalled,
)
from contracts.transaction import ChildUndone, TransactionOrdered
from sagas.engine.decision import (
    Due,
    Input,
    Ordered,
    ParentReply,
    Replied,
    Reused,
    Signalled,
    Start,
    StepCommand,
    Target,
    Timer,
    Transition,
)

EventT = TypeVar("EventT", bound=Event)


class UnreadableInputError(ValueError):
    """An entry does not tell what was decided on; the text says what is missing."""


def to_entry_parts(transition: Transition) -> tuple[tuple[Event, ...], dict[str, Any]]:
    """Give what the entry of a transition holds: its events, and its effects as JSON.

    The effects are `{"definition": {type, version, hash}, "input": {kind, ...}, "commands": [...],
    "timers": [...]}`; the entry's actor, correlation, cause and time are the input's.
    """
    effects = effects_of(transition)
    recorded = effects["input"]
    if "command_id" in recorded:
        recorded["command_id"] = str(recorded["command_id"])
    effects["commands"] = [describe_command(command) for command in transition.commands]
    effects["timers"] = [describe_timer(timer) for timer in transition.timers]
    return transition.events, effects


def effects_of(transition: Transition) -> dict[str, Any]:
    """Give the effects with ids and times as they are, for whoever writes them as text at once."""
    effects: dict[str, Any] = {
        "definition": {
            "type": transition.saga_type,
            "version": transition.version,
            "hash": transition.definition_hash,
        },
        "input": _describe_input(transition.input),
        "commands": [_members_of(command) for command in transition.commands],
        "timers": [{"name": one.name, "due_at": one.due_at} for one in transition.timers],
    }
    if transition.replies:
        effects["replies"] = [describe_reply(reply) for reply in transition.replies]
    return effects


def _members_of(command: StepCommand) -> dict[str, Any]:
    return {
        "step": command.step,
        "undo": command.undo,
        "command_id": command.command_id,
        "type": command.type,
        "version": command.version,
        "data": command.data,
        "deadline": command.deadline,
    }


def describe_command(command: StepCommand) -> dict[str, Any]:
    """Write a command as JSON."""
    members = _members_of(command)
    members["command_id"] = str(command.command_id)
    members["deadline"] = command.deadline.isoformat()
    return members


def describe_timer(timer: Timer) -> dict[str, Any]:
    """Write a timer as JSON."""
    return {"name": timer.name, "due_at": timer.due_at.isoformat()}


def describe_reply(reply: ParentReply) -> dict[str, Any]:
    """Write the answer to another saga's step as JSON."""
    return {
        "parent": reply.parent.model_dump(mode="json"),
        "command_id": str(reply.command_id),
        "result": reply.result,
        "refusal": reply.refusal.model_dump(mode="json") if reply.refusal else None,
    }


def read_commands(effects: Mapping[str, Any]) -> tuple[StepCommand, ...]:
    """Read the commands of an entry, to send them again."""
    return tuple(
        StepCommand(
            step=one["step"],
            undo=one["undo"],
            command_id=UUID(one["command_id"]),
            type=one["type"],
            version=one["version"],
            data=one["data"],
            deadline=datetime.fromisoformat(one["deadline"]),
        )
        for one in effects.get("commands", ())
    )


def read_timers(effects: Mapping[str, Any]) -> tuple[Timer, ...]:
    """Read the timers of an entry, to arm them again."""
    return tuple(
        Timer(name=one["name"], due_at=datetime.fromisoformat(one["due_at"]))
        for one in effects.get("timers", ())
    )


def read_replies(effects: Mapping[str, Any]) -> tuple[ParentReply, ...]:
    """Read the answers to another saga's step, to send them again."""
    return tuple(
        ParentReply(
            parent=ParentStep.model_validate(one["parent"]),
            command_id=UUID(one["command_id"]),
            result=one["result"],
            refusal=ChildUndone.model_validate(one["refusal"]) if one["refusal"] else None,
        )
        for one in effects.get("replies", ())
    )


class Recorded(Protocol):
    """What of an entry tells the input: it may read its events one by one, as they are asked."""

    @property
    def number(self) -> int: ...  # noqa: D102 - as in Entry
    @property
    def at(self) -> datetime: ...  # noqa: D102 - as in Entry
    @property
    def actor(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def cause(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def correlation(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def effects(self) -> Mapping[str, Any]: ...  # noqa: D102 - as in Entry
    @property
    def events(self) -> Iterable[Event]: ...  # noqa: D102 - as in Entry


def read_input(entry: Recorded) -> Input:
    """Read what an entry was decided on.

    Raises:
        UnreadableInputError: the entry is no transition of a saga, or lacks the input's events.
    """
    recorded: Mapping[str, Any] = entry.effects.get("input", {})
    reader = _READERS.get(str(recorded.get("kind")))
    if reader is None:
        raise UnreadableInputError(
            f"entry {entry.number} was decided on an input of kind {recorded.get('kind')!r}, "
            f"which is none of {', '.join(_READERS)}"
        )
    return reader(entry, recorded)


def _read_start(entry: Recorded, _recorded: Mapping[str, Any]) -> Start:
    began = _event(entry, SagaStarted)
    return Start(
        saga_id=began.transaction_id,
        message=began.message,
        at=entry.at,
        actor=entry.actor,
        correlation=entry.correlation,
        cause=entry.cause,
        parent=began.parent,
        forked_from=began.forked_from,
        reused={
            event.step: Reused(status=event.status, output=event.output)
            for event in entry.events
            if isinstance(event, StepReused)
        },
    )


def _read_reply(entry: Recorded, _recorded: Mapping[str, Any]) -> Replied:
    answer = _event(entry, StepAnswered)
    return Replied(
        step=answer.step,
        command_id=answer.command_id,
        at=entry.at,
        cause=entry.cause,
        result=answer.output,
        failure=answer.failure,
    )


def _read_due(entry: Recorded, recorded: Mapping[str, Any]) -> Due:
    return Due(name=recorded["name"], at=entry.at, cause=entry.cause)


def _read_signal(entry: Recorded, _recorded: Mapping[str, Any]) -> Signalled:
    told = _event(entry, StepSignalled)
    return Signalled(signal=told.signal, data=told.data, by=told.by, at=entry.at, cause=entry.cause)


def _read_order(entry: Recorded, recorded: Mapping[str, Any]) -> Ordered:
    told = _event(entry, TransactionOrdered)
    output = next((e.output for e in entry.events if isinstance(e, StepAnswered)), None)
    migrated = next((e for e in entry.events if isinstance(e, SagaMigrated)), None)
    return Ordered(
        order=told.order,
        reason=told.reason,
        by=recorded["by"],
        at=entry.at,
        cause=entry.cause,
        step=told.step,
        output=output,
        target=None
        if migrated is None
        else Target(
            version=migrated.definition_version,
            hash=migrated.definition_hash,
            steps=tuple(migrated.steps),
        ),
        command_id=told.command_id,
    )


_READERS: Final[Mapping[str, Callable[[Recorded, Mapping[str, Any]], Input]]] = {
    "start": _read_start,
    "replied": _read_reply,
    "due": _read_due,
    "signalled": _read_signal,
    "ordered": _read_order,
}


def _describe_input(given: Input) -> dict[str, Any]:
    match given:
        case Start():
            return {"kind": "start"}
        case Replied():
            return {"kind": "replied", "step": given.step, "command_id": given.command_id}
        case Due():
            return {"kind": "due", "name": given.name}
        case Signalled():
            return {"kind": "signalled", "signal": given.signal}
        case Ordered():
            return {"kind": "ordered", "order": given.order, "by": given.by}


def _event(entry: Recorded, kind: type[EventT]) -> EventT:
    for event in entry.events:
        if isinstance(event, kind):
            return event
    raise UnreadableInputError(f"entry {entry.number} holds no {kind.contract.type}")
