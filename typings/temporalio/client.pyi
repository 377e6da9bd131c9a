from collections.abc import Callable
from typing import Any

class WorkflowHistory:
    @staticmethod
    def from_json(workflow_id: str, history: str) -> WorkflowHistory: ...
    def to_json(self) -> str: ...

class WorkflowHandle:
    async def result(self) -> Any: ...
    async def fetch_history(self) -> WorkflowHistory: ...

class Client:
    async def start_workflow(
        self,
        workflow: Callable[..., Any],
        *,
        id: str,  # noqa: A002 - the library's word
        task_queue: str,
    ) -> WorkflowHandle: ...
