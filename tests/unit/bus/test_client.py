"""Headers as the client writes and reads them: on the wire those of any NATS client."""

import pytest
from nats.aio.client import Client as NatsClient

from infra.bus.client import read_headers, write_headers

WRITTEN = {"Nats-Msg-Id": "0199-a", "ce-type": "sample.register", "tracseq-actor": "Zoë: the 2nd"}


def test_headers_are_read_as_they_were_written() -> None:
    """Names, values, letters of any alphabet and colons come out as they went in."""
    written = write_headers(WRITTEN)

    assert written is not None
    assert written.startswith(b"NATS/1.0\r\n")
    assert written.endswith(b"\r\n\r\n")
    assert read_headers(written) == WRITTEN


def test_headers_are_read_as_the_library_reads_them() -> None:
    """Odd spacing, empty values and lines that are none lead to the same as with nats-py."""
    lines = b"a:1\r\nb:  2 \r\nc: \r\nno colon\r\nin valid: 3\r\nd: x:y\r\n\r\n"

    ours = read_headers(b"NATS/1.0\r\n" + lines)

    assert ours == NatsClient._parse_header_lines(lines)  # pyright: ignore[reportPrivateUsage] - what is compared
    assert ours == {"a": "1", "b": "2", "c": "", "d": "x:y"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404", "Description": "No Messages"}),
        (
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 7\r\n\r\n",
            {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "7"},
        ),
        (b"NATS/1.0\r\n\r\n", None),
    ],
)
def test_what_the_broker_says_of_itself_is_read(
    raw: bytes, expected: dict[str, str] | None
) -> None:
    """A status stands among the headers, with its description where it has one."""
    assert read_headers(raw) == expected


@pytest.mark.parametrize(
    "headers",
    [{"a": "1\r\nevil: 2"}, {"a": "1\n"}, {"a": "\r"}, {"a b": "1"}, {"": "1"}, {"é": "1"}],
)
def test_what_could_smuggle_a_line_in_is_left_to_the_library(headers: dict[str, str]) -> None:
    """A line break in a value, or a name that is none, is never written here."""
    assert write_headers(headers) is None
