"""What can go wrong between this process and the broker, in this project's own words.

All of it passes: the same attempt may succeed later. What a message's content can be wrong about is
not decided here.
"""

from contracts.errors import Retryable


class BrokerUnavailable(Retryable):
    """NATS did not answer, or not in time: what was sent may or may not have been stored."""


class BrokerRefused(BrokerUnavailable):
    """NATS answered with a no; `code` is its own number for it."""

    def __init__(self, text: str, code: int) -> None:
        """Carry the number."""
        super().__init__(text)
        self.code = code


class NotSent(BrokerUnavailable):
    """The connection is down: nothing left this process."""


class MissingStream(Retryable):
    """No stream takes this subject: the provisioner has not run."""


class NobodyAnswers(Retryable):
    """Nobody listens on a subject: whoever answers there does not run."""
