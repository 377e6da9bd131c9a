"""What circuit breakers tell: that a service spares one of its dependencies, or asks it again.

Told by every service, decided by nobody: such events come from no log. Instances of a service tell
each other more, as advice. What a breaker is, and when it opens, is not said here.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.message import Event
from contracts.types import Name, UtcTime


class BreakerState(StrEnum):
    """What a circuit breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


AdvisedState = Literal[BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]
"""A state that calls lead to; what is done by hand is advice to nobody."""


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


class BreakerAdvice(BaseModel):
    """What an instance of a service tells the others of one of its breakers; stored nowhere.

    It binds nobody, and may be lost. Fields that are not known are ignored: a newer version of the
    service may say more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    origin: UUID
    """The process that says so; another one after a restart."""
    instance: Name
    """Its name, for people."""
    breaker: Name
    state: AdvisedState
    """It saw an outage; it tries again; its trials were answered."""
    seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
    """How long it spares the dependency, where it is open."""
    at: UtcTime
