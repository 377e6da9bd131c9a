"""The moments of one command at which a message can be lost, doubled, late, or the last one.

Each is a frame on the wire between the service or the asker and the broker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from contracts import subjects
from tests.fixtures.nats_proxy import Fate, Frame, Rule, Way


class Side(StrEnum):
    """Whose connection the frame goes over."""

    SERVICE = "service"
    ASKER = "asker"


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of the path of a command."""

    name: str
    side: Side
    way: Way
    matches: Callable[[Frame], bool]
    nth: int = 1

    def __str__(self) -> str:
        return self.name

    def rule(self, fate: Fate) -> Rule:
        """Give this frame a fate."""
        return Rule(self.way, self.matches, fate, self.nth)


def sent(name: str, prefix: str, nth: int = 1) -> Moment:
    """Name a message that the service sends to a subject."""
    return Moment(
        name, Side.SERVICE, Way.TO_BROKER, lambda frame: frame.subject.startswith(prefix), nth
    )


def acknowledged(name: str, stream: str, nth: int = 1, side: Side = Side.SERVICE) -> Moment:
    """Name the broker's acknowledgement that a stream has a message."""
    mark = f'"stream":"{stream}"'.encode()
    return Moment(
        name,
        side,
        Way.TO_CLIENT,
        lambda frame: frame.subject.startswith("_INBOX") and mark in frame.data.rpartition(b"{")[2],
        nth,
    )


LOG = subjects.log_stream("sample")

MOMENTS = (
    Moment(
        "the command leaves the asker",
        Side.ASKER,
        Way.TO_BROKER,
        lambda frame: frame.subject.startswith(f"{subjects.ROOT}.cmd."),
    ),
    acknowledged("the command is acknowledged as stored", subjects.COMMANDS, side=Side.ASKER),
    Moment(
        "the command is handed out",
        Side.SERVICE,
        Way.TO_CLIENT,
        lambda frame: frame.subject.startswith(f"{subjects.ROOT}.cmd."),
    ),
    sent("the claim is appended", f"{subjects.ROOT}.log.sample.barcode."),
    acknowledged("the claim is acknowledged", LOG, 1),
    sent("the sample is appended", f"{subjects.ROOT}.log.sample.sample."),
    acknowledged("the sample is acknowledged", LOG, 2),
    sent("the outcome is recorded", f"$KV.{subjects.OUTCOMES_BUCKET}."),
    acknowledged("the outcome is acknowledged", f"KV_{subjects.OUTCOMES_BUCKET}"),
    sent("the reply is sent", "_INBOX_asker."),
    Moment(
        "the reply arrives",
        Side.ASKER,
        Way.TO_CLIENT,
        lambda frame: b'{"result"' in frame.data,
    ),
    sent("the command is acknowledged as done", f"$JS.ACK.{subjects.COMMANDS}."),
    sent("the event is told", f"{subjects.ROOT}.evt.sample."),
    acknowledged("the event is acknowledged", subjects.EVENTS),
    sent("the forwarder's position is kept", f"$KV.{subjects.SNAPSHOTS_BUCKET}.forwarder."),
    acknowledged("the forwarder's position is acknowledged", f"KV_{subjects.SNAPSHOTS_BUCKET}"),
    sent("commands are asked for", f"$JS.API.CONSUMER.MSG.NEXT.{subjects.COMMANDS}."),
    Moment(
        "the log hands an entry to the forwarder",
        Side.SERVICE,
        Way.TO_CLIENT,
        lambda frame: frame.subject.startswith(f"{subjects.ROOT}.log.sample.sample."),
    ),
)
