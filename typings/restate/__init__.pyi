# restate-sdk lives in the benches' own environment (.venv-bench). What bench/peers uses of it.
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Any]])

class Context:
    def run_typed(
        self,
        name: str,
        action: Callable[_P, Coroutine[Any, Any, _T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> Awaitable[_T]: ...

class Service:
    def __init__(self, name: str) -> None: ...
    def handler(self) -> Callable[[_Handler], _Handler]: ...

def app(services: Iterable[Service]) -> Callable[..., Awaitable[None]]: ...
