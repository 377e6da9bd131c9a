"""What circuit breakers tell: that a service spares one of its dependencies, or asks it again.

Told by every service, decided by nobody: such events come from no log. What a breaker is, and when
it opens, is not said here.
"""

from enum import StrEnum

from contracts.message import Event
from contracts.types import Name


class BreakerState(StrEnum):
    """What a circuit breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


class BreakerChanged(Event, type="breaker.changed"):
    """A circuit breaker of a service does otherwise with calls from now on.

    Told as well as it can be: what cannot be told in time is counted and forgotten.
    """

    service: Name
    instance: Name
    """The process that runs the service: each has breakers of its own."""
    breaker: Name
    """The dependency, as the service names it."""
    old: BreakerState
    new: BreakerState
