"""What the bus decides by itself, without a broker: retries, repetition, letters, times, names."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts import subjects
from contracts.catalog import UnknownTypeError
from contracts.envelope import EnvelopeError
from contracts.errors import NotFound, Refused, Retryable
from contracts.types import derive_id
from contracts.versions import UnknownVersionError
from infra.bus.connection import Raw
from infra.bus.context import Context
from infra.bus.errors import BrokerUnavailable
from infra.bus.outcomes import Outcome, may_be_repeated, read_outcome
from infra.bus.requests import Mailbox
from infra.bus.retry import (
    BUG_ATTEMPTS_MAX,
    UNWELL_ATTEMPTS_MAX,
    WAIT_MAX_SECONDS,
    Again,
    Dead,
    after_failure,
)
from infra.bus.streams import BUCKETS, COMMAND_WINDOW_SECONDS, CONSUMERS, STREAMS, consumer

NOW = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


# Retries

POISON = [
    EnvelopeError("no CloudEvent"),
    UnknownTypeError("no such type"),
    UnknownVersionError("no such version"),
    ValidationError.from_exception_data("Body", []),
    Refused(NotFound(what="shelf", key="7")),
]


@pytest.mark.parametrize("error", POISON, ids=lambda error: type(error).__name__)
def test_what_no_retry_can_mend_is_given_up_at_once(error: Exception) -> None:
    """The reason names the error."""
    decided = after_failure(error, 1)
    assert isinstance(decided, Dead)
    assert type(error).__name__ in decided.reason


@given(delivered=st.integers(1, 100), bug=st.booleans())
def test_other_failures_are_tried_again_a_bounded_number_of_times(
    delivered: int, *, bug: bool
) -> None:
    """Waits grow and have a bound; a bug is given up soon, an unwell world late."""
    error = ZeroDivisionError("bug") if bug else Retryable("unwell")
    attempts_max = BUG_ATTEMPTS_MAX if bug else UNWELL_ATTEMPTS_MAX
    match after_failure(error, delivered):
        case Again(after_seconds=seconds):
            assert delivered < attempts_max
            assert 0 < seconds <= WAIT_MAX_SECONDS
        case Dead(reason=reason):
            assert delivered >= attempts_max
            assert f"failed {delivered} times" in reason


def test_an_unwell_world_is_waited_for_about_a_quarter_of_an_hour() -> None:
    """An outage of ten minutes makes no dead letter."""
    waits = [after_failure(Retryable(""), n) for n in range(1, UNWELL_ATTEMPTS_MAX)]
    total = sum(wait.after_seconds for wait in waits if isinstance(wait, Again))
    assert 600 < total < 1_200


# Repetition


def made_at(time: datetime) -> str:
    """Make the id that a sender's clock would have made then."""
    start = UUID(int=int(time.timestamp() * 1_000) << 80 | 0x7 << 76 | 0x2 << 62)
    return str(derive_id(start, "x"))


@given(age=st.timedeltas(timedelta(days=-1), timedelta(days=1)))
def test_an_outcome_goes_unasked_only_where_the_broker_would_know_a_copy(age: timedelta) -> None:
    """Within the window in which the stream refuses copies, clocks a minute apart included."""
    asked = may_be_repeated(made_at(NOW - age), NOW, LONG_AGO)
    if not asked:
        assert -60 <= age.total_seconds() < COMMAND_WINDOW_SECONDS - 60
    if 1 < age.total_seconds() < COMMAND_WINDOW_SECONDS - 61:
        assert not asked


def test_after_a_reconnect_older_ids_are_asked_for() -> None:
    """A broker that was started anew has forgotten what was done before."""
    message_id = made_at(NOW - timedelta(seconds=30))
    assert not may_be_repeated(message_id, NOW, NOW - timedelta(seconds=60))
    assert may_be_repeated(message_id, NOW, NOW - timedelta(seconds=10))


@pytest.mark.parametrize("message_id", ["key-1", "", str(UUID(int=4 << 76 | 2 << 62))])
def test_an_id_that_tells_no_time_is_always_asked_for(message_id: str) -> None:
    """As a client's own may be."""
    assert may_be_repeated(message_id, NOW, LONG_AGO)


def test_an_outcome_is_read_as_it_was_written() -> None:
    """A result byte for byte, a refusal with its fields."""
    done = Outcome(result=b'{"sample_id":"x"}')
    refused = Outcome(refusal=NotFound(what="shelf", key="7"))
    assert read_outcome(done.to_bytes()) == done
    assert read_outcome(refused.to_bytes()) == refused
    assert read_outcome(Outcome().to_bytes()) == Outcome(result=b"null")


# Circumstances


def a_context(message_id: str, *, delivered: int = 1, repeated: bool = False) -> Context:
    """Make circumstances."""
    return Context(
        message_id=message_id,
        actor="anna",
        correlation="c",
        now=NOW,
        delivered=delivered,
        repeated=repeated,
    )


def test_what_a_message_makes_has_the_same_name_at_every_delivery() -> None:
    """And another where it is another thing, or another message's."""
    first, again = a_context("m"), a_context("m", delivered=2)
    assert first.derive("sample") == again.derive("sample")
    assert first.derive("sample") != first.derive("box")
    assert first.derive("sample") != a_context("n").derive("sample")


def test_a_message_that_came_again_or_may_have_is_looked_for_in_the_log() -> None:
    """A first delivery is not."""
    assert not a_context("m").again
    assert a_context("m", delivered=2).again
    assert a_context("m", repeated=True).again


def test_parts_of_a_message_have_names_of_their_own() -> None:
    """Everything else stays as it is."""
    part = a_context("m", delivered=3).part("row-2")
    assert (part.message_id, part.delivered) == ("m:row-2", 3)


# Letters


def letter(body: bytes) -> Msg:
    """Make something that came."""
    return Msg(Client(), data=body)


async def test_a_mailbox_gives_letters_in_order_and_then_says_why_no_more_come() -> None:
    """What is there comes first; the loss is heard by everyone who waits afterwards."""
    box = Mailbox()
    for body in (b"1", b"2", b"3"):
        box.put(letter(body))
    box.fail(BrokerUnavailable("lost"))
    assert (await box.take(1)).data == b"1"
    assert [one.data for one in box.take_all(10)] == [b"2", b"3"]
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await box.take(1)


async def test_a_mailbox_wakes_whoever_waits_and_not_later_than_asked() -> None:
    """By a letter, by a loss, or by the end of the time."""
    box = Mailbox()
    taking = asyncio.create_task(box.take(5))
    await asyncio.wait({taking}, timeout=0.01)
    box.put(letter(b"1"))
    assert (await taking).data == b"1"
    with pytest.raises(TimeoutError):
        await box.take(0.01)
    with pytest.raises(TimeoutError):
        await box.take(-1)


async def test_whoever_waits_at_a_mailbox_can_be_stopped_as_a_letter_comes() -> None:
    """The cancellation is not lost, and neither is the letter: the next one takes it."""
    box = Mailbox()
    taking = asyncio.create_task(box.take(5))
    await asyncio.wait({taking}, timeout=0.01)
    box.put(letter(b"1"))
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert (await box.take(1)).data == b"1"


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-14T09:26:00.123456789Z",
        "1773480360123456789",
    ],
)
def test_the_time_of_a_message_reads_the_same_however_the_broker_says_it(time: str) -> None:
    """RFC 3339 with nanoseconds, or nanoseconds since 1970."""
    raw = Raw("s", 1, b"", {}, time)
    assert abs(raw.at - NOW - timedelta(microseconds=123_456)) <= timedelta(microseconds=1)


@pytest.mark.parametrize("time", ["2026-03-14T09:26:00Z", "2026-03-14T09:26:00.1Z"])
def test_a_time_of_any_precision_is_read(time: str) -> None:
    """The broker leaves out zeros."""
    assert Raw("s", 1, b"", {}, time).at - NOW in {timedelta(0), timedelta(milliseconds=100)}


# Names and declarations


@given(key=st.text(min_size=1))
def test_any_key_is_one_token_and_is_read_back(key: str) -> None:
    """Nothing in it splits a subject or selects another one."""
    token = subjects.token(key)
    assert not set(token) & set(" .*>\t\r\n")
    assert token.isascii()
    assert subjects.key_in(token) == key


def test_every_consumer_reads_a_declared_stream_and_has_a_bound() -> None:
    """Names are found once; each message that is handed out gets a task at once."""
    streams = {stream.name for stream in STREAMS}
    assert {one.stream for one in CONSUMERS} <= streams
    assert len({one.name for one in CONSUMERS}) == len(CONSUMERS)
    assert all(0 < one.ack_pending_max <= 1_000 for one in CONSUMERS)
    assert len({bucket.name for bucket in BUCKETS}) == len(BUCKETS)
    assert consumer("sample-commands").stream == subjects.COMMANDS
    with pytest.raises(LookupError, match="infra/bus/streams"):
        consumer("nobody")


def test_queues_refuse_rather_than_forget() -> None:
    """A full work queue says no; the logs have no bound at which they would drop the oldest."""
    for stream in STREAMS:
        if stream.work_queue:
            assert stream.discard_new
            assert stream.max_bytes > 0
        if stream.name.startswith("LOG_"):
            assert stream.deny_delete
            assert (stream.max_age_days, stream.max_bytes) == (0, -1)
