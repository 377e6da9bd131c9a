"""What a service hands to the bus: a message class and the plain function that handles it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, TypeAdapter

from contracts.errors import Refusal
from contracts.message import Command, Message, Query, result_of
from infra.bus.context import Context

ResultT = TypeVar("ResultT")
MessageT = TypeVar("MessageT", bound=Message)

Answer = Callable[[Any, Context], Awaitable[Any]]


class Later(Enum):
    """What a handler answers whose command is done only when something else is."""

    LATER = "later"


LATER: Final = Later.LATER
"""Nobody is answered now and no outcome is recorded: whoever is responsible for the end answers.

The command is acknowledged. Where it comes again it is handled again, so its handler tells a
repetition by what it has appended.
"""


@dataclass(frozen=True, slots=True)
class Handler:
    """One command or query and who handles it; make one with `handle`."""

    message: type[Message]
    call: Answer
    result: TypeAdapter[Any]

    def encode(self, result: object) -> bytes:
        """Write an answer as JSON."""
        if isinstance(result, BaseModel):
            return result.__pydantic_serializer__.to_json(result)
        return self.result.dump_json(result)


def handle(
    message: type[Command[ResultT]] | type[Query[ResultT]],
    call: Callable[[Any, Context], Awaitable[ResultT | Refusal | Later]],
) -> Handler:
    """Bind a command or query to the function that answers or refuses it."""
    return Handler(cast("type[Message]", message), call, TypeAdapter(result_of(message)))
