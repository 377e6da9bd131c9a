from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

from temporalio.client import Client, WorkflowHistory

class WorkflowRunner: ...

class UnsandboxedWorkflowRunner(WorkflowRunner):
    def __init__(self) -> None: ...

class WorkflowReplayResult:
    replay_failure: Exception | None

class Replayer:
    def __init__(
        self, *, workflows: Sequence[type], workflow_runner: WorkflowRunner = ...
    ) -> None: ...
    def workflow_replay_iterator(
        self, histories: AsyncGenerator[WorkflowHistory]
    ) -> AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]]: ...

class Worker:
    def __init__(
        self,
        client: Client,
        *,
        identity: str,
        task_queue: str,
        workflows: Sequence[type],
        activities: Sequence[Callable[..., Any]],
    ) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...
