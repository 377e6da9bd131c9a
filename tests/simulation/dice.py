"""Chance that can be told again: every roll follows from the seed and the name of what it is for.

Since a roll depends on nothing that happened before it, leaving a fault or a saga out of a run
leaves every other roll as it was. That is what makes a failing run shrink. No state is kept here.
"""

from hashlib import blake2b
from struct import Struct
from typing import Final

WORDS: Final = 32
"""Numbers in one roll, each below `WORD`."""
WORD: Final = 1 << 16
Roll = tuple[int, ...]
_READ: Final = Struct(f"<{WORDS}H").unpack


class Dice:
    """Rolls of one world."""

    def __init__(self, *parts: object) -> None:
        """Take what the rolls shall follow from, besides their names."""
        self._key = blake2b("/".join(map(str, parts)).encode(), digest_size=32).digest()

    def roll(self, name: str) -> Roll:
        """Give the numbers that belong to a name."""
        return _READ(blake2b(name.encode(), key=self._key).digest())

    def below(self, name: str, bound: int) -> int:
        """Give a number from 0 to `bound` - 1, which is at most `WORD`."""
        return self.roll(name)[0] * bound // WORD


def share(roll: Roll, number: int, most: int) -> int:
    """Give a number from 0 to `most` - 1; after the last number of a roll the first comes again."""
    return roll[number % WORDS] * most // WORD
