"""The breakers of one service, by name: made once, seen together, switched and told together.

It keeps no numbers of its own: a snapshot asks the breakers.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.breaker.advice import Advice
from infra.breaker.base import Exclusion
from infra.breaker.breaker import CircuitBreaker
from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.errors import UnknownBreakerError
from infra.breaker.snapshot import BreakerSnapshot, StateChange
from infra.clock import SYSTEM, Clock

BREAKERS_MAX = 256
"""In one service: each is a set of series for whoever collects metrics."""


class BreakerSettings(BaseSettings):
    """What a process is told about its breakers."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    circuit_breaker_enabled: bool = True
    """`CIRCUIT_BREAKER_ENABLED`: false lets every call of the process straight through."""


class BreakerRegistry:
    """The breakers of one service; belongs to its event loop."""

    def __init__(
        self, service: str, *, settings: BreakerSettings | None = None, clock: Clock = SYSTEM
    ) -> None:
        """Begin empty; `settings` are read from the environment where none are given."""
        self.service = service
        self._enabled = (settings or BreakerSettings()).circuit_breaker_enabled
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._declared: dict[str, CircuitBreakerConfig] = {}
        self._reloaded: dict[str, CircuitBreakerConfig] = {}
        self._adjusted: dict[str, Mapping[str, float]] = {}
        self._watchers: list[Callable[[StateChange], None]] = []
        self.untold = 0
        """Changes that those outside the process were not told of: whoever tells them counts."""

    def get(
        self,
        name: str,
        config: CircuitBreakerConfig | None = None,
        *,
        exclude: Iterable[Exclusion] = (),
        failure_result: Callable[[Any], bool] | None = None,
    ) -> CircuitBreaker:
        """Give the breaker of this name, made at the first call.

        Raises:
            ValueError: it was made with another `config`, or there are too many.
        """
        found = self._breakers.get(name)
        if found is not None:
            declared = self._declared[name]
            if config is not None and config != declared:
                raise ValueError(
                    f"circuit breaker {name!r} was made with other numbers ({declared}): give the "
                    "same or none, and change those in force with configure()"
                )
            return found
        if len(self._breakers) >= BREAKERS_MAX:
            raise ValueError(
                f"{self.service} has {BREAKERS_MAX} circuit breakers already and {name!r} would be "
                "one more: name them for dependencies, not for requests"
            )
        declared = config or CircuitBreakerConfig()
        breaker = CircuitBreaker(
            name,
            self._wanted(name, declared),
            exclude=exclude,
            failure_result=failure_result,
            enabled=self._enabled,
            clock=self._clock,
        )
        breaker.watch(self._changed)
        self._breakers[name] = breaker
        self._declared[name] = declared
        return breaker

    def snapshot(self) -> list[BreakerSnapshot]:
        """Take what there is to see of each, by name."""
        return [self._breakers[name].snapshot() for name in sorted(self._breakers)]

    def force_open(self, name: str | None = None, *, by: str | None = None) -> list[str]:
        """Open one, or all, until reset; gives their names. `by` is told to those who watch.

        Raises:
            UnknownBreakerError: there is none of this name.
        """
        chosen = self._chosen(name)
        for breaker in chosen:
            breaker.force_open(by=by)
        return [breaker.name for breaker in chosen]

    def reset(self, name: str | None = None, *, by: str | None = None) -> list[str]:
        """Close one, or all, and forget their past; gives their names. `by` as above.

        Raises:
            UnknownBreakerError: there is none of this name.
        """
        chosen = self._chosen(name)
        for breaker in chosen:
            breaker.reset(by=by)
        return [breaker.name for breaker in chosen]

    @property
    def enabled(self) -> bool:
        """Whether the breakers of this service do anything."""
        return self._enabled

    def switch(self, *, enabled: bool) -> None:
        """Switch all of them on or off, those to come too."""
        self._enabled = enabled
        for breaker in self._breakers.values():
            breaker.switch(enabled=enabled)

    def configure(self, configs: Mapping[str, CircuitBreakerConfig]) -> None:
        """Put these numbers into force by name, and the declared ones back for all others.

        A name that is not here yet gets its numbers when it is made.
        """
        self._reloaded = dict(configs)
        self._reconfigure()

    def adjust(self, numbers: Mapping[str, Mapping[str, float]]) -> None:
        """Put single numbers into force by breaker, over the declared ones, which hold elsewhere.

        Raises:
            pydantic.ValidationError: they make no configuration of a breaker.
        """
        self._adjusted = dict(numbers)
        self._reconfigure()

    def _reconfigure(self) -> None:
        for name, breaker in self._breakers.items():
            wanted = self._wanted(name, self._declared[name])
            if wanted != breaker.config:
                breaker.configure(wanted)

    def _wanted(self, name: str, declared: CircuitBreakerConfig) -> CircuitBreakerConfig:
        config = self._reloaded.get(name, declared)
        adjusted = self._adjusted.get(name)
        if not adjusted:
            return config
        return CircuitBreakerConfig.model_validate({**dict(config), **adjusted})

    def watch(self, watcher: Callable[[StateChange], None]) -> None:
        """Have changes of state told, of every breaker; what a watcher raises is logged only."""
        self._watchers.append(watcher)

    def hear(self, advice: Advice) -> None:
        """Pass advice of another instance on to the breaker of that name, where there is one."""
        found = self._breakers.get(advice.breaker)
        if found is not None:
            found.hear(advice)

    def _changed(self, change: StateChange) -> None:
        for watcher in tuple(self._watchers):
            watcher(change)

    def _chosen(self, name: str | None) -> list[CircuitBreaker]:
        if name is None:
            return [self._breakers[known] for known in sorted(self._breakers)]
        found = self._breakers.get(name)
        if found is None:
            known = ", ".join(sorted(self._breakers)) or "none yet"
            raise UnknownBreakerError(
                f"{self.service} has no circuit breaker {name!r}; it has: {known}"
            )
        return [found]
