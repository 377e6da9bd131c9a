"""The breakers of a service together: made once, told together, shown as metrics."""

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from contracts.errors import Unavailable
from infra.breaker import (
    BreakerRegistry,
    CircuitBreakerConfig,
    CircuitBreakerError,
    State,
    StateChange,
    UnknownBreakerError,
    fallback,
)
from infra.breaker.collector import FAMILIES, BreakerCollector
from infra.breaker.registry import BREAKERS_MAX
from infra.breaker.testing import BreakerLab, breakers
from infra.breaker.window import CALL, FAILED, SLOTS, SLOW, TimeWindow

__all__ = ["breakers"]


async def fine() -> str:
    """Work."""
    return "fine"


@pytest.fixture
def registry() -> BreakerRegistry:
    """Give the breakers of one service."""
    return BreakerRegistry("sample")


def test_a_breaker_is_made_once(registry: BreakerRegistry) -> None:
    """Asked again it is the same; asked for with other numbers is a mistake."""
    breaker = registry.get("smtp", CircuitBreakerConfig(failure_threshold=2))

    assert registry.get("smtp") is breaker
    with pytest.raises(ValueError, match="'smtp' was made with other numbers"):
        registry.get("smtp", CircuitBreakerConfig())


def test_there_are_only_so_many(registry: BreakerRegistry) -> None:
    """A name for each request is refused."""
    for number in range(BREAKERS_MAX):
        registry.get(str(number))

    with pytest.raises(ValueError, match="not for requests"):
        registry.get("one more")


async def test_the_environment_switches_all_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CIRCUIT_BREAKER_ENABLED=false` lets calls through, until they are switched on."""
    monkeypatch.setenv("CIRCUIT_BREAKER_ENABLED", "false")
    registry = BreakerRegistry("sample")
    breaker = registry.get("smtp")
    breaker.force_open()

    assert await breaker.call(fine) == "fine"
    registry.switch(enabled=True)
    with pytest.raises(CircuitBreakerError):
        await breaker.call(fine)


def test_new_numbers_reach_breakers_by_name(registry: BreakerRegistry) -> None:
    """Those that are here at once, others when they are made; left out, the declared come back."""
    strict = CircuitBreakerConfig(failure_threshold=1)
    smtp = registry.get("smtp")

    registry.configure({"smtp": strict, "index": strict})
    assert (smtp.fail_max, registry.get("index").fail_max) == (1, 1)
    registry.configure({})

    assert (smtp.fail_max, registry.get("index").fail_max) == (5, 5)


def test_one_or_all_are_opened_and_reset_by_hand(registry: BreakerRegistry) -> None:
    """Changes are told with the name; an unknown one is refused with those that exist."""
    changes = list[StateChange]()
    registry.watch(changes.append)
    registry.get("smtp")
    registry.get("index")

    assert registry.force_open("smtp") == ["smtp"]
    assert registry.reset() == ["index", "smtp"]
    with pytest.raises(UnknownBreakerError, match="it has: index, smtp"):
        registry.force_open("smpt")

    assert [(c.breaker, c.new) for c in changes] == [
        ("smtp", State.FORCED_OPEN),
        ("smtp", State.CLOSED),
    ]


def test_a_refusal_says_who_refused_and_when_to_come_again(breakers: BreakerLab) -> None:
    """Whole seconds, and never at once."""
    breaker = breakers.make("index", CircuitBreakerConfig(recovery_timeout=7.2), state=State.OPEN)

    def refusal() -> Unavailable:
        coroutine = breaker.call(fine)
        with pytest.raises(CircuitBreakerError) as refused:
            coroutine.send(None)
        return refused.value.refusal("The index")

    assert refusal().retry_after_seconds == 8
    assert refusal().what == "The index (circuit breaker index is open)"
    breakers.move(7.1)
    assert refusal().retry_after_seconds == 1


async def test_metrics_are_read_from_the_breakers(registry: BreakerRegistry) -> None:
    """Calls, refusals, limits and the state, with the service as a label."""
    collected = CollectorRegistry()
    collected.register(BreakerCollector(registry))
    breaker = registry.get("smtp")
    await breaker.call(fine)
    breaker.force_open()
    with pytest.raises(CircuitBreakerError):
        await breaker.call(fine)

    def value(name: str, **labels: str) -> float | None:
        labels = {"service": "sample", "breaker": "smtp", **labels}
        return collected.get_sample_value(f"tracseq_circuit_breaker_{name}", labels)

    assert value("calls_total", outcome="succeeded") == 1
    assert value("rejected_total", reason="forced_open") == 1
    assert value("state", state="forced_open") == 1
    assert value("state", state="closed") == 0
    assert value("in_flight_limit") == 100
    assert value("changes_total") == 1
    shown = {f"{family.name}" for family in collected.collect()}
    assert shown == {family.name.removesuffix("_total") for family in FAMILIES}


async def test_a_fallback_is_for_a_dependency_that_is_unwell(breakers: BreakerLab) -> None:
    """Refused calls give what is done instead, awaited or not; errors of one's own go through."""
    breaker = breakers.make(state=State.OPEN)

    async def instead(_: Exception) -> str:
        return "cached"

    async def wrong() -> str:
        raise ValueError("a bug")

    assert await fallback(breaker.call(fine), instead, name="cache") == "cached"
    assert await fallback(breaker.call(fine), lambda _: "plain", name="plain") == "plain"
    with pytest.raises(ValueError, match="a bug"):
        await fallback(wrong(), instead, name="cache")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"slow_call_seconds": 1}, "belong together"),
        ({"failure_threshold": None}, "would never open"),
        ({"failure_rate": 0.5, "window_calls": 10}, "minimum_calls <= window_calls"),
        ({"recovery_timeout": -1}, "greater than or equal to 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(values: dict[str, float], says: str) -> None:
    """With what is wrong and what to give."""
    with pytest.raises(ValidationError, match=says):
        CircuitBreakerConfig.model_validate(values)


def test_the_five_numbers_have_their_defaults() -> None:
    """5 failures, 30 s, 10 s, 100 calls, 3 successes."""
    config = CircuitBreakerConfig()

    assert (config.failure_threshold, config.recovery_timeout, config.request_timeout) == (
        5,
        30,
        10,
    )
    assert (config.max_concurrent_requests, config.success_threshold) == (100, 3)


def test_calls_leave_a_time_window_slot_by_slot() -> None:
    """A window of ten seconds counts what happened in its ten slots, and nothing older."""
    window = TimeWindow(10)
    history = [
        (second / 3, [CALL, CALL | FAILED, CALL | SLOW][second % 3]) for second in range(200)
    ]
    for number, (now, mark) in enumerate(history, 1):
        window.add(mark, now)
        inside = [m for then, m in history[:number] if then // 1 > now // 1 - SLOTS]

        assert window.calls == len(inside)
        assert window.failures == sum(1 for m in inside if m & FAILED)
        assert window.slow == sum(1 for m in inside if m & SLOW)
    window.forget(1_000)
    assert (window.calls, window.failures, window.slow) == (0, 0, 0)
