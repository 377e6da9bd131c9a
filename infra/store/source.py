"""What a read model is made from: something to follow in order. What it holds is not known here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from infra.store.read_model import Write


class Positioned(Protocol):
    """Anything that has a place in its source."""

    @property
    def seq(self) -> int:
        """Its sequence."""
        ...

    @property
    def traceparent(self) -> str | None:
        """The trace that led to it."""
        ...


ItemT = TypeVar("ItemT", bound=Positioned)
ItemT_co = TypeVar("ItemT_co", bound=Positioned, covariant=True)


class Source(Protocol[ItemT_co]):
    """Items in order, each with a sequence that only grows."""

    def follow(self, after: int) -> AsyncIterator[Sequence[ItemT_co]]:
        """Give everything after a sequence, for ever, in batches of what is there."""
        ...

    async def head(self) -> int:
        """Give the sequence of the newest item that `follow` gives; 0 where there is none."""
        ...


Project = Callable[[Sequence[ItemT]], Awaitable[Sequence[Write]]]
"""Items, oldest first -> what they change; for the same items again, the same again."""
