from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

_A = TypeVar("_A")
_C = TypeVar("_C", bound=type)
_F = TypeVar("_F", bound=Callable[..., Any])
_R = TypeVar("_R")

def defn(cls: _C) -> _C: ...
def run(fn: _F) -> _F: ...
async def execute_activity(
    activity: Callable[[_A], Awaitable[_R]], arg: _A, *, start_to_close_timeout: timedelta
) -> _R: ...
