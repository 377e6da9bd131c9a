"""Logs: one JSON line each, with what it belongs to, without what is secret."""

import json
import logging
import warnings
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from infra.telemetry import logs, tracing

UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Read what went to stderr; nothing may go to stdout."""
    captured = capsys.readouterr()
    assert not captured.out
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_carries_the_work_and_the_trace_it_belongs_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Service, correlation, trace and span stand on every line within; afterwards none does."""
    logs.configure()
    log = structlog.get_logger()
    with (
        logs.bound(service="sample", correlation_id="c-1", saga_id=None),
        tracing.message_span(tracing.tracer_for("sample"), "consumer", "handle", UNSAMPLED),
    ):
        log.info("sample_registered", sample_id=UUID(int=7), volume_ul=12.5)
    log.info("afterwards")

    inside, outside = lines(capsys)
    moment = datetime.fromisoformat(inside.pop("time"))
    assert moment.utcoffset() == timedelta(0)
    assert inside == {
        "level": "info",
        "event": "sample_registered",
        "service": "sample",
        "correlation_id": "c-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "sample_id": str(UUID(int=7)),
        "volume_ul": 12.5,
    }
    assert set(outside) == {"time", "level", "event"}


@pytest.mark.parametrize(
    "key", ["password", "smtp_password", "nkey_seed", "Authorization", "api_token", "CLIENT_SECRET"]
)
def test_what_may_be_secret_is_never_written(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the name of its key: at the top, within a mapping, within a list of mappings."""
    logs.configure()
    structlog.get_logger().warning(
        "configured", **{key: "hunter2"}, settings={key: "hunter2", "all": [{key: "hunter2"}]}
    )
    captured = capsys.readouterr().err
    assert "hunter2" not in captured
    assert captured.count(logs.REDACTED) == 3


def test_credentials_within_addresses_are_never_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also in the text of an exception, and in a line that a library writes."""
    logs.configure()
    address = "nats://lab:hunter2@hub:4222"
    error = ConnectionError(f"cannot reach {address}")
    structlog.get_logger().error("failed", address=address, exc_info=error)
    logging.getLogger("nats.aio").error("lost %s", address)
    captured = capsys.readouterr().err
    assert "hunter2" not in captured
    assert captured.count("nats://[redacted]@hub:4222") == 3


def test_an_object_is_named_but_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows what the text of an unknown object gives away; bytes are no text either."""
    logs.configure()
    structlog.get_logger().info("got", body=b"hunter2", thing=object(), deep=[[[[[[["x"]]]]]]])
    (line,) = lines(capsys)
    assert (line["body"], line["thing"]) == ("<bytes>", "<object>")
    assert "x" not in json.dumps(line["deep"])


def test_libraries_write_through_the_same_renderer_from_their_own_levels(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A library's warning is a JSON line with the bound values; its chatter is not heard."""
    logs.configure("debug")
    with logs.bound(service="sample"):
        for name in ("nats.aio.client", "faststream", "uvicorn.error", "pymongo.topology"):
            logging.getLogger(name).info("chatter of %s", name)
            logging.getLogger(name).warning("trouble of %s", name)
        logging.getLogger("opentelemetry.exporter").error("a batch again")
    heard = lines(capsys)
    assert [line["event"] for line in heard] == [
        "trouble of nats.aio.client",
        "trouble of faststream",
        "trouble of uvicorn.error",
        "trouble of pymongo.topology",
    ]
    assert {(line["level"], line["service"]) for line in heard} == {("warning", "sample")}
    assert heard[0]["logger"] == "nats.aio.client"


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


def test_a_librarys_repeated_line_is_written_once_a_minute() -> None:
    """A reconnect loop leaves one line a minute; other lines are not held back."""
    clock = Hand()
    sparing = logs.Sparing(clock)

    def passes(text: str) -> bool:
        record = logging.LogRecord("nats", logging.ERROR, "", 0, "lost %s", (text,), None)
        return sparing.filter(record)

    assert [passes("hub"), passes("hub"), passes("leaf")] == [True, False, True]
    clock.seconds = 59.9
    assert not passes("hub")
    clock.seconds = 60
    assert passes("hub")


def test_what_is_remembered_of_repeated_lines_is_bounded() -> None:
    """A library that never says the same twice fills no memory: the oldest line is forgotten."""
    sparing = logs.Sparing(Hand())

    def passes(number: int) -> bool:
        record = logging.LogRecord("nats", logging.ERROR, "", 0, f"line {number}", None, None)
        return sparing.filter(record)

    assert all(passes(number) for number in range(logs.REPEATS_MAX + 1))
    assert not passes(logs.REPEATS_MAX)
    assert passes(0)


def test_an_exception_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of lines never gets half a traceback."""
    logs.configure()
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = lines(capsys)
    assert line["level"] == "error"
    assert line["exception"].splitlines()[-1].startswith("ZeroDivisionError")


@pytest.mark.parametrize("value", [2**70, "\ud800", float("nan")])
def test_no_value_can_lose_a_line(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    """What strict JSON cannot hold is written some other way."""
    logs.configure()
    structlog.get_logger().info("odd", value=value)
    (line,) = lines(capsys)
    assert line["event"] == "odd"


def test_the_level_counts_and_the_last_configuration_wins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A logger made before keeps nothing of what held then."""
    log = structlog.get_logger()
    logs.configure("warning")
    log.info("quiet")
    logs.configure("info")
    log.info("heard")
    assert [line["event"] for line in lines(capsys)] == ["heard"]
    with pytest.raises(ValueError, match="log level is 'loud': use debug, info"):
        logs.configure("loud")


def test_warnings_of_python_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A deprecation shows up in the log of a service."""
    logs.configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    (line,) = lines(capsys)
    assert "DeprecationWarning: old thing" in line["event"]


def test_a_person_gets_text_instead_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The console format names the event and its values, and hides secrets just the same."""
    logs.configure(fmt="console")
    structlog.get_logger().info("sample_registered", barcode="LAB-1", token="hunter2")  # noqa: S106 - what must not appear
    text = capsys.readouterr().err
    assert "sample_registered" in text
    assert "LAB-1" in text
    assert "hunter2" not in text


def test_the_level_is_the_lowest_that_anybody_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the services of a process; once none asks, it is as configured. Libraries keep theirs."""
    logs.configure(level="warning")
    log = structlog.get_logger()
    library, own = logging.getLogger("somebody"), logging.getLogger("httpx")
    steps: list[tuple[str, str | None]] = [
        ("sample", "info"),
        ("event", "debug"),
        ("event", "error"),
        ("sample", None),
        ("event", None),
    ]
    written = list[list[str]]()
    for number, (service, level) in enumerate(steps):
        logs.ask_level(service, level)
        for said in ("debug", "info", "warning", "error"):
            getattr(log, said)(said)
        library.info("library %d", number)
        own.info("chatter")
        written.append([line["event"] for line in lines(capsys)])

    assert written == [
        ["info", "warning", "error", "library 0"],
        ["debug", "info", "warning", "error", "library 1"],
        ["info", "warning", "error", "library 2"],
        ["error"],
        ["warning", "error"],
    ]


def test_an_unknown_level_is_refused() -> None:
    """By name, with the ones there are."""
    with pytest.raises(ValueError, match="loud"):
        logs.ask_level("sample", "loud")
