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
    opened: int = 0
    """Ticks since it opened."""
    careful: int = 0
    """Ticks for which others advise care."""
    advised: bool = False
    """Whether advice opened it."""
    hastened: str = ""
    """Whether a trial was brought forward since it was closed: in `this` wait, `before`, or not."""


class Rules:
    """What follows what, for one configuration; `chance` is what the jitter always draws."""

    def __init__(self, config: CircuitBreakerConfig, chance: float) -> None:
        """Judge by these numbers."""
        self.config = config
        self.chance = chance
        self.slow_ticks = config.slow_call_seconds or float("inf")
        window = config.window_calls if config.judges_rates else 0
        self.memory = max(config.failure_threshold or 0, 2, config.success_threshold, window)

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
        return replace(
            was,
            calls=calls,
            wait=max(0.0, was.wait - 1),
            opened=was.opened + 1 if was.mode == "open" else 0,
            careful=max(0, was.careful - 1),
        )

    def open(self, was: Oracle) -> Oracle:
        """Open it until its time has come."""
        config = self.config
        seconds = config.recovery_timeout
        for _ in range(was.trips):
            grown = min(seconds * config.backoff_factor, config.recovery_timeout_max)
            seconds = max(seconds, grown)
        seconds -= seconds * config.recovery_jitter * self.chance
        return replace(
            self._era(was, "open"),
            wait=seconds,
            trips=was.trips + 1,
            hastened="before" if was.hastened else "",
        )

    def advise(self, was: Oracle, what: str) -> Oracle:
        """Let others say something: that care is due for two ticks, or what became of trials."""
        if what == "careful":
            return replace(was, careful=2)
        if what == "all open" and was.mode == "closed":
            return replace(self.open(was), advised=True)
        if what == "answered" and was.mode == "open" and not was.hastened:
            return replace(was, wait=min(was.wait, self.chance), hastened="this")
        if what == "tries" and was.mode == "open" and was.hastened != "this":
            config = self.config
            seconds = config.recovery_timeout * (1 - config.recovery_jitter * self.chance)
            longest = max(config.recovery_timeout, config.recovery_timeout_max)
            return replace(was, wait=max(was.wait, min(seconds, longest - was.opened)))
        return was

    def turn(self, was: Oracle, mode: str) -> Oracle:
        """Put it into a state by hand."""
        if mode == "open":
            return self.open(was)
        turned = self._era(was, mode)
        if mode != "closed":
            return turned
        return replace(turned, trips=0, careful=0, advised=False, hastened="")

    def _judge(self, was: Oracle) -> Oracle:
        if was.mode == "half_open":
            if any(was.past[-1]):
                return self.open(was)
            enough = len(was.past) >= self.config.success_threshold
            return self.turn(was, "closed") if enough else was
        if self._row(was, self.config.failure_threshold) or self._rate(was):
            return self.open(was)
        if was.careful and self._row(was, 2):
            return replace(self.open(was), advised=True)
        return was

    def _row(self, was: Oracle, wanted: int | None) -> bool:
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
        return replace(was, mode=mode, past=(), calls=calls, wait=0.0, opened=0)
