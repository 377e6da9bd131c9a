"""What a breaker is told: thresholds, times and bounds, as one frozen model.

Numbers only, so that they can come from the configuration service and change while calls are under
way. What is code (which errors and results count) is given to the breaker itself.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class CircuitBreakerConfig(BaseModel):
    """The numbers of one breaker. Times are seconds, rates are shares of calls (0.5 is half)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_threshold: Annotated[int, Field(ge=1)] | None = 5
    """Failures in a row that open it; None leaves the judgement to the rates."""
    recovery_timeout: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 30.0
    """Seconds it stays open before it tries again."""
    request_timeout: Seconds | None = 10.0
    """Seconds one call may take, after which it is cancelled and has failed; None waits forever."""
    max_concurrent_requests: Annotated[int, Field(ge=1)] = 100
    """Calls under way at once; one more is refused at once, never queued, and is no failure."""
    success_threshold: Annotated[int, Field(ge=1)] = 3
    """Successes while half-open that close it."""

    half_open_max: Annotated[int, Field(ge=1)] = 1
    """Calls let through at once while half-open."""

    failure_rate: Share | None = None
    """Share of failed calls in the window that opens it."""
    slow_call_seconds: Seconds | None = None
    """Seconds from which on a call was slow, whether it failed or not."""
    slow_call_rate: Share | None = None
    """Share of slow calls in the window that opens it; while half-open a slow call is a failure."""
    window: Literal["count", "time"] = "count"
    """What the rates look at: the last calls, or the calls of the last seconds."""
    window_calls: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Calls in a window of kind `count`."""
    window_seconds: Seconds = 30.0
    """Seconds in a window of kind `time`; calls leave it a tenth of it at a time."""
    minimum_calls: Annotated[int, Field(ge=1)] = 20
    """Calls in the window below which no rate is judged."""

    backoff_factor: Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)] = 1.0
    """By what the time open grows with each trial that fails; 1 keeps it the same."""
    recovery_timeout_max: Seconds = 300.0
    """Seconds beyond which back-off does not let that time grow."""
    recovery_jitter: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.1
    """Share by which it is shortened at random at most, so that not all instances try at once."""

    open_at_peers: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Other instances whose own breaker is open that open this one at once; None: only calls do."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.slow_call_seconds is None) is not (self.slow_call_rate is None):
            raise ValueError(
                "slow_call_seconds and slow_call_rate belong together: give both or neither"
            )
        if self.failure_threshold is None and not self.judges_rates:
            raise ValueError(
                "failure_threshold is None and no rate is given, so it would never open: "
                "give failure_threshold, failure_rate or slow_call_rate"
            )
        if self.judges_rates and self.window == "count" and self.minimum_calls > self.window_calls:
            raise ValueError(
                f"minimum_calls is {self.minimum_calls} and window_calls {self.window_calls}, "
                "so no rate would ever be judged: give minimum_calls <= window_calls"
            )
        return self

    @property
    def judges_rates(self) -> bool:
        """Whether a window of past calls is kept at all."""
        return self.failure_rate is not None or self.slow_call_rate is not None
