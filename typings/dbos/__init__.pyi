# dbos lives in the benches' own environment (.venv-bench). What bench/peers uses of it.
from collections.abc import Callable, Coroutine
from typing import Any, TypedDict, TypeVar

_F = TypeVar("_F", bound=Callable[..., Coroutine[Any, Any, Any]])

class DBOSConfig(TypedDict, total=False):
    name: str
    system_database_url: str | None
    run_admin_server: bool | None
    enable_otlp: bool | None
    log_level: str | None

class DBOS:
    def __init__(self, *, config: DBOSConfig) -> None: ...
    @classmethod
    def step(cls) -> Callable[[_F], _F]: ...
    @classmethod
    def workflow(cls) -> Callable[[_F], _F]: ...
    @classmethod
    def launch(cls) -> None: ...
    @classmethod
    def destroy(cls) -> None: ...
