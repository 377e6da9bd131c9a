"""Circuit breakers: one for each dependency, so that a sick one does not take the rest along.

A breaker refuses, bounds and counts calls. It retries nothing (infra.http.breaking_client does),
keeps nothing beyond the process and asks nobody else: what other instances know is advice at most.
"""

from infra.breaker.advice import Advice
from infra.breaker.breaker import CircuitBreaker
from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import State
from infra.breaker.errors import (
    CircuitBreakerError,
    FailedResultError,
    RequestTimeoutError,
    UnknownBreakerError,
)
from infra.breaker.fallback import fallback
from infra.breaker.registry import BreakerRegistry
from infra.breaker.snapshot import BreakerSnapshot, StateChange

__all__ = [
    "Advice",
    "BreakerRegistry",
    "BreakerSnapshot",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitBreakerError",
    "FailedResultError",
    "RequestTimeoutError",
    "State",
    "StateChange",
    "UnknownBreakerError",
    "fallback",
]
