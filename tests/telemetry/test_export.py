"""Sending spans: what a receiver that does not answer costs, and how sending goes on."""

from collections.abc import Sequence
from datetime import datetime

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from structlog.testing import capture_logs

from infra.telemetry.export import PAUSE_SECONDS, Root, Sparing

BATCH = (ReadableSpan(name="handle"),)


class Receiver(SpanExporter):
    """The other end of an exporter, up or down as the test wants it."""

    def __init__(self) -> None:
        self.up = True
        self.asked = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Count what was sent."""
        del spans
        self.asked += 1
        return SpanExportResult.SUCCESS if self.up else SpanExportResult.FAILURE


class Hand:
    """A clock that stands still until it is turned."""

    seconds = 0.0

    def now(self) -> datetime:
        """Give no time: nobody asks."""
        raise AssertionError("nobody asks for the time of day")

    def monotonic(self) -> float:
        """Give the seconds it was turned."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Turn it."""
        self.seconds += seconds


def test_a_receiver_that_failed_is_left_alone_for_a_while() -> None:
    """One failed batch, then nothing is even tried until the pause is over."""
    receiver, clock = Receiver(), Hand()
    sparing = Sparing(receiver, "http://collector", clock)
    receiver.up = False
    results = [sparing.export(BATCH) for _ in range(50)]
    assert set(results) == {SpanExportResult.FAILURE}
    assert receiver.asked == 1

    clock.seconds = PAUSE_SECONDS
    assert sparing.export(BATCH) is SpanExportResult.FAILURE
    assert receiver.asked == 2


def test_lost_spans_are_told_once_and_so_is_their_end() -> None:
    """An outage of any length is two lines in the log."""
    receiver, clock = Receiver(), Hand()
    sparing = Sparing(receiver, "http://collector", clock)
    with capture_logs() as told:
        receiver.up = False
        for _ in range(5):
            sparing.export(BATCH)
            clock.seconds += PAUSE_SECONDS
        receiver.up = True
        assert sparing.export(BATCH) is SpanExportResult.SUCCESS
        assert sparing.export(BATCH) is SpanExportResult.SUCCESS
    assert [line["event"] for line in told] == ["traces_lost", "traces_sent_again"]


def test_the_ratio_decides_by_trace_id_alone() -> None:
    """Two services with the same ratio agree on every trace; about that share is sampled."""
    one, other = Root(0.25), Root(0.25)
    ids = [number * 0x9E3779B97F4A7C15 % 2**64 for number in range(1, 2_001)]
    decisions = [
        one.should_sample(None, i, "handle").decision is Decision.RECORD_AND_SAMPLE for i in ids
    ]
    assert decisions == [
        other.should_sample(None, i, "another").decision is Decision.RECORD_AND_SAMPLE for i in ids
    ]
    assert 400 < sum(decisions) < 600
    assert all(
        one.should_sample(None, i, "saga intake").decision is Decision.RECORD_AND_SAMPLE
        for i in ids
    )
