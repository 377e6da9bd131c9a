"""How a transition is written into its log entry, and how its input is read back from there.

Large parts (start message, answers) stand once, in the events; `effects` holds the rest. Nothing is
appended here: the caller makes the entry of the events and the effects.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from contracts.entry import Entry
from contracts.message import Event
from contracts.transaction import SagaStarted, StepAnswered
from sagas.engine.decision import Due, Input, Replied, Start, StepCommand, Timer, Transition

EventT = TypeVar("EventT", bound=Event)


class UnreadableInputError(ValueError):
    """An entry does not tell what was decided on; the text says what is missing."""


def to_entry_parts(transition: Transition) -> tuple[tuple[Event, ...], dict[str, Any]]:
    """Give what the entry of a transition holds: its events, and its effects as JSON.

    The effects are `{"definition": {type, version, hash}, "input": {kind, ...}, "commands": [...],
    "timers": [...]}`; the entry's actor, correlation, cause and time are the input's.
    """
    effects: dict[str, Any] = {
        "definition": {
            "type": transition.saga_type,
            "version": transition.version,
            "hash": transition.definition_hash,
        },
        "input": _describe_input(transition.input),
        "commands": [describe_command(command) for command in transition.commands],
        "timers": [describe_timer(timer) for timer in transition.timers],
    }
    return transition.events, effects


def describe_command(command: StepCommand) -> dict[str, Any]:
    """Write a command as JSON."""
    return {
        "step": command.step,
        "undo": command.undo,
        "command_id": str(command.command_id),
        "type": command.type,
        "version": command.version,
        "data": command.data,
        "deadline": command.deadline.isoformat(),
    }


def describe_timer(timer: Timer) -> dict[str, Any]:
    """Write a timer as JSON."""
    return {"name": timer.name, "due_at": timer.due_at.isoformat()}


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


def read_input(entry: Entry) -> Input:
    """Read what an entry was decided on.

    Raises:
        UnreadableInputError: the entry is no transition of a saga, or lacks the input's events.
    """
    recorded: Mapping[str, Any] = entry.effects.get("input", {})
    match recorded.get("kind"):
        case "start":
            began = _event(entry, SagaStarted)
            return Start(
                saga_id=began.transaction_id,
                message=began.message,
                at=entry.at,
                actor=entry.actor,
                correlation=entry.correlation,
                cause=entry.cause,
            )
        case "replied":
            answer = _event(entry, StepAnswered)
            return Replied(
                step=answer.step,
                command_id=answer.command_id,
                at=entry.at,
                cause=entry.cause,
                result=answer.output,
                failure=answer.failure,
            )
        case "due":
            return Due(name=recorded["name"], at=entry.at, cause=entry.cause)
        case kind:
            raise UnreadableInputError(
                f"entry {entry.number} was decided on an input of kind {kind!r}, "
                "which is none of start, replied, due"
            )


def _describe_input(given: Input) -> dict[str, Any]:
    match given:
        case Start():
            return {"kind": "start"}
        case Replied():
            return {"kind": "replied", "step": given.step, "command_id": str(given.command_id)}
        case Due():
            return {"kind": "due", "name": given.name}


def _event(entry: Entry, kind: type[EventT]) -> EventT:
    for event in entry.events:
        if isinstance(event, kind):
            return event
    raise UnreadableInputError(f"entry {entry.number} holds no {kind.contract.type}")
