from types import TracebackType
from typing import Self

from temporalio.client import Client

class WorkflowEnvironment:
    @property
    def client(self) -> Client: ...
    @classmethod
    async def start_time_skipping(
        cls, *, test_server_existing_path: str, identity: str
    ) -> WorkflowEnvironment: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...
