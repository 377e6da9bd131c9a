"""The other sides that HTTP speaks to, as the bus offers them, and what endpoints need of them.

Only shapes: what answers is `infra.bus`, or anything else that keeps these promises.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from starlette.requests import Request

from contracts.errors import Refusal
from contracts.message import Command, Contract, Query
from contracts.types import FileRef
from infra.clock import SYSTEM, Clock
from infra.http.body import Limits
from infra.http.headers import claimed_actor

ResultT = TypeVar("ResultT")

ANSWER_SECONDS = 10.0
"""For a query's answer, beyond any wait that the query itself asks for."""
UPLOADS_MAX = 4
"""Files held in memory at once, on their way to the object store; further uploads wait."""


class Ask(Protocol):
    """Puts a question or an order to its owner."""

    async def __call__(
        self,
        message: Command[ResultT] | Query[ResultT],
        *,
        actor: str,
        correlation: str | None,
        message_id: str | None,
        timeout_seconds: float,
    ) -> ResultT:
        """Give the answer.

        Raises:
            Refused: the owner said no, or nobody can be reached.
            Pending: a command was stored, and not answered in time.
        """
        ...


class Files(Protocol):
    """Keeps files by their content."""

    async def put(self, data: bytes, *, name: str, media_type: str) -> FileRef:
        """Keep a file and give the reference to it."""
        ...


class Outcome(Protocol):
    """How a command ended."""

    @property
    def result(self) -> bytes | None:
        """JSON of the answer; None where it was refused."""
        ...

    @property
    def refusal(self) -> Refusal | None:
        """Why not; None where it was done."""
        ...


class Outcomes(Protocol):
    """Knows how commands ended."""

    async def __call__(self, command_id: str) -> Outcome | None:
        """Give the outcome; None where there is none."""
        ...


Authorise = Callable[[Contract, Request], Awaitable[str]]
"""Lets a request pass and says who acts, or raises `Refused`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What the endpoints of one process share."""

    ask: Ask
    files: Files | None = None
    """None where no contract takes a file."""
    authorise: Authorise = claimed_actor
    limits: Limits = field(default_factory=Limits)
    answer_seconds: Callable[[], float] = lambda: ANSWER_SECONDS
    """Asked at each query how long it waits for its answer."""
    clock: Clock = SYSTEM
