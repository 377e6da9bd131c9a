from collections.abc import Callable
from typing import Any

from aiobreaker import CircuitBreakerError as CircuitBreakerError
from aiobreaker import CircuitBreakerState as CircuitBreakerState

class CircuitBreakerBaseState:
    _breaker: Any
    def __init__(self, breaker: object, state: CircuitBreakerState) -> None: ...
    @property
    def state(self) -> CircuitBreakerState: ...
    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...
    def call_async(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...

class CircuitClosedState(CircuitBreakerBaseState):
    def __init__(
        self, breaker: object, prev_state: object = None, notify: bool = False
    ) -> None: ...

class CircuitOpenState(CircuitBreakerBaseState):
    def __init__(
        self, breaker: object, prev_state: object = None, notify: bool = False
    ) -> None: ...

class CircuitHalfOpenState(CircuitBreakerBaseState):
    def __init__(
        self, breaker: object, prev_state: object = None, notify: bool = False
    ) -> None: ...
