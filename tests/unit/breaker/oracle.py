"""What a breaker should decide, said another way: from the history of an era, not from counters.

It shares nothing with the core but the configuration. Times are whole ticks.
"""

from dataclasses import dataclass, replace

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import Outcome

Ended = tuple[bool, bool]
"""A counted call: whether it failed, whether it was slow."""
Call = tuple[bool, int]
"""A call under way: whether it began in this era, and its age."""


@dataclass(frozen=True)
class Oracle:
    """One moment; every change of state begins an era."""

    mode: str = "closed"
    past: tuple[Ended, ...] = ()
    calls: tuple[Call, ...] = ()
    wait: float = 0.0
    trips: int = 0


class Rules:
    """What follows what, for one configuration; `chance` is what the jitter always draws."""

    def __init__(self, config: CircuitBreakerConfig, chance: float) -> None:
        """Judge by these numbers."""
        self.config = config
        self.chance = chance
        self.slow_ticks = config.slow_call_seconds or float("inf")
        window = config.window_calls if config.judges_rates else 0
        self.memory = max(config.failure_threshold or 0, config.success_threshold, window)

    def admit(self, was: Oracle) -> tuple[Oracle, str | None]:
        """Let a call begin, or give the reason why not."""
        config = self.config
        if was.mode == "forced_open":
            return was, "forced_open"
        if was.mode == "open":
            if was.wait > 0:
                return was, "open"
            was = self._era(was, "half_open")
        current = sum(1 for mine, _ in was.calls if mine)
        if was.mode == "half_open" and current >= config.half_open_max:
            return was, "probing"
        if len(was.calls) >= config.max_concurrent_requests:
            return was, "full"
        return replace(was, calls=(*was.calls, (True, 0))), None

    def done(self, was: Oracle, index: int, outcome: Outcome) -> tuple[Oracle, str]:
        """End a call; gives how it is counted."""
        mine, age = was.calls[index]
        left = replace(was, calls=was.calls[:index] + was.calls[index + 1 :])
        slow = age >= self.slow_ticks
        counted = f"{outcome.value}{' slow' if slow else ''}{'' if mine else ' late'}"
        if not mine or outcome is Outcome.NEUTRAL:
            return left, counted
        past = (*left.past, (outcome is Outcome.FAILURE, slow))
        return self._judge(replace(left, past=past[-self.memory :])), counted

    def tick(self, was: Oracle) -> Oracle:
        """Let time pass."""
        calls = tuple((mine, age + 1) for mine, age in was.calls)
        return replace(was, calls=calls, wait=max(0.0, was.wait - 1))

    def open(self, was: Oracle) -> Oracle:
        """Open it until its time has come."""
        config = self.config
        seconds = config.recovery_timeout
        for _ in range(was.trips):
            grown = min(seconds * config.backoff_factor, config.recovery_timeout_max)
            seconds = max(seconds, grown)
        seconds -= seconds * config.recovery_jitter * self.chance
        return replace(self._era(was, "open"), wait=seconds, trips=was.trips + 1)

    def turn(self, was: Oracle, mode: str) -> Oracle:
        """Put it into a state by hand."""
        if mode == "open":
            return self.open(was)
        turned = self._era(was, mode)
        return replace(turned, trips=0) if mode == "closed" else turned

    def _judge(self, was: Oracle) -> Oracle:
        if was.mode == "half_open":
            if any(was.past[-1]):
                return self.open(was)
            enough = len(was.past) >= self.config.success_threshold
            return self.turn(was, "closed") if enough else was
        return self.open(was) if self._row(was) or self._rate(was) else was

    def _row(self, was: Oracle) -> bool:
        wanted = self.config.failure_threshold
        if wanted is None:
            return False
        row = was.past[-wanted:]
        return len(row) == wanted and all(failed for failed, _ in row)

    def _rate(self, was: Oracle) -> bool:
        config = self.config
        seen = was.past[-config.window_calls :]
        if len(seen) < config.minimum_calls:
            return False
        failed = sum(1 for failed, _ in seen if failed) / len(seen)
        slow = sum(1 for _, slow in seen if slow) / len(seen)
        return (config.failure_rate is not None and failed >= config.failure_rate) or (
            config.slow_call_rate is not None and slow >= config.slow_call_rate
        )

    def _era(self, was: Oracle, mode: str) -> Oracle:
        calls = tuple((False, age) for _, age in was.calls)
        return replace(was, mode=mode, past=(), calls=calls, wait=0.0)
