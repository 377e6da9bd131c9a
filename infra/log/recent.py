"""The newest entries of a log, decoded once: whoever appended or read one need not read it again.

A service follows its own log for several purposes, and most of what it reads it has just written.
"""

from collections import OrderedDict

from contracts.entry import Entry, hash_of, read_entry
from infra.bus.reads import Raw
from infra.log.archive import MARK

RECENT_MAX = 4_096
"""Entries kept; the oldest go first."""


class Recent:
    """Entries of one stream, by their sequence."""

    def __init__(self, at_most: int = RECENT_MAX) -> None:
        """Know none, and later at most so many."""
        self._at_most = min(at_most, RECENT_MAX)
        self._entries: OrderedDict[int, Entry] = OrderedDict()

    def put(self, entry: Entry) -> None:
        """Keep an entry that was appended or read."""
        self._entries[entry.seq] = entry
        if len(self._entries) > self._at_most:
            self._entries.popitem(last=False)

    def read(self, raw: Raw) -> Entry:
        """Give the entry that a stored message is; known ones are recognised by their hash.

        Raises:
            UnknownTypeError, UnknownVersionError, pydantic.ValidationError: it cannot be read.
        """
        known = self._entries.get(raw.seq)
        if known is not None and known.hash == hash_of(raw.body):
            return known
        entry = read_entry(raw.body, subject=raw.subject, seq=raw.seq, again=MARK in raw.headers)
        self.put(entry)
        return entry
