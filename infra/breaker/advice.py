"""What other instances of a service say of the same dependency, and what one breaker makes of it.

Advice decides nothing: a breaker that hears of an outage opens at fewer failures of its own, and
leaves a trial to whoever began one. It runs out by itself, within the breaker's own numbers, so
that what is lost, doubled, late or untrue costs no more than that. Pure: time is handed in.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import Core, State

PEERS_MAX = 256
"""Of which advice is kept for one breaker; what more would say is not heard."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A breaker of this name is in a state elsewhere."""

    peer: Hashable
    """Which instance says so."""
    breaker: str
    state: State
    """`OPEN`: it saw an outage. `HALF_OPEN`: it tries. `CLOSED`: its trials were answered."""
    seconds: float
    """How long it spares the dependency, where it is open."""
    age_seconds: float
    """How long ago that was; below 0 where clocks differ."""


class Peers:
    """Whose advice one breaker has, and until when."""

    def __init__(self) -> None:
        """Begin without any."""
        self._until = dict[Hashable, float]()

    def count(self, now: float) -> int:
        """Give how many others say that there is an outage."""
        self._forget(now)
        return len(self._until)

    def hear(self, advice: Advice, core: Core, config: CircuitBreakerConfig, now: float) -> None:
        """Let a core know what matters to it."""
        said_at = now - max(0.0, advice.age_seconds)
        if advice.state is State.HALF_OPEN:
            core.leave_trial(said_at)
            return
        if advice.state is State.OPEN:
            self._forget(now)
            self._note(advice, said_at, config)
        else:
            self._until.pop(advice.peer, None)
            core.hasten(now)
        core.be_careful(max(self._until.values(), default=now))
        wanted = config.open_at_peers
        if wanted is not None and self.count(now) >= wanted:
            core.open_on_advice(now)

    def _note(self, advice: Advice, said_at: float, config: CircuitBreakerConfig) -> None:
        spared = max(config.recovery_timeout, config.recovery_timeout_max)
        if advice.peer in self._until or len(self._until) < PEERS_MAX:
            self._until[advice.peer] = said_at + min(advice.seconds, spared)

    def _forget(self, now: float) -> None:
        self._until = {peer: until for peer, until in self._until.items() if until > now}
