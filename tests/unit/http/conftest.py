"""The other side of HTTP in these tests: prepared answers, and a client without a network."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx
import pytest

from contracts.message import Command, Query
from contracts.types import FileRef
from infra.http.app import App
from infra.http.routing import Route

ResultT = TypeVar("ResultT")
Connect = Callable[[Iterable[Route]], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True)
class Asked:
    """One question or order that arrived."""

    message: Command[Any] | Query[Any]
    actor: str
    correlation: str | None
    message_id: str | None
    timeout_seconds: float


@dataclass(frozen=True)
class Later:
    """An answer that takes its time."""

    give: Callable[[], Awaitable[object]]


@dataclass
class Asker:
    """Answers each type of message with a result or an exception, at once or later."""

    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: list[Asked] = field(default_factory=list[Asked])

    async def __call__(
        self,
        message: Command[ResultT] | Query[ResultT],
        *,
        actor: str,
        correlation: str | None,
        message_id: str | None,
        timeout_seconds: float,
    ) -> ResultT:
        """Note the question and give the answer."""
        self.asked.append(Asked(message, actor, correlation, message_id, timeout_seconds))
        answer = self.answers[message.contract.type]
        if isinstance(answer, Later):
            answer = await answer.give()
        if isinstance(answer, Exception):
            raise answer
        return cast("ResultT", answer)


@dataclass
class Keeper:
    """Keeps files in memory, by their content."""

    kept: dict[str, bytes] = field(default_factory=dict[str, bytes])

    async def put(self, data: bytes, *, name: str, media_type: str) -> FileRef:
        """Keep one file."""
        digest = hashlib.sha256(data).hexdigest()
        self.kept[digest] = data
        return FileRef(sha256=digest, size_bytes=len(data), name=name, media_type=media_type)


@pytest.fixture
def asker() -> Asker:
    """Give an asker without answers."""
    return Asker()


@pytest.fixture
def keeper() -> Keeper:
    """Give an empty file store."""
    return Keeper()


@asynccontextmanager
async def _connect(routes: Iterable[Route]) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=App("test", routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def connect() -> Connect:
    """Give what opens a client to an application of these routes."""
    return _connect
