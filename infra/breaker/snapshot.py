"""What a breaker shows of itself: a change, and everything at a moment. Values, no behaviour."""

from dataclasses import dataclass
from datetime import datetime

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import State


@dataclass(frozen=True, slots=True)
class StateChange:
    """A breaker does otherwise with calls from now on."""

    breaker: str
    old: State
    new: State
    at: datetime
    by: str | None = None
    """Who did it by hand; None where calls led to it."""


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """What one breaker did and does; counts since it was made."""

    name: str
    enabled: bool
    state: State
    retry_after_seconds: float
    """How long an open breaker stays so; 0 in any other state."""
    advised: bool
    """Whether it opened sooner than its own numbers say, because others advised care."""
    advised_by: int
    """Other instances that say at the moment that there is an outage."""
    in_flight: int
    failures_in_row: int
    window_calls: int
    window_failures: int
    window_slow: int
    succeeded: int
    failed: int
    neutral: int
    timed_out: int
    slow: int
    late: int
    """Calls that ended after the breaker's state had changed; they decided nothing."""
    rejected: dict[str, int]
    """By reason."""
    changes: int
    """Of state."""
    config: CircuitBreakerConfig
