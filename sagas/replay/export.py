"""A transaction's history as a file that can be checked anywhere: JSON lines between head and seal.

The first line says what the file is and how many entries follow; each entry is one line with the
very text that was appended; the last line seals them. Whoever can write a file can also seal one
anew: only the signature, made with a key that they do not have, tells such a file from ours.
Nothing is checked here; that is `verify.py`.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.entry import GENESIS, hash_of, write_json

FORMAT: Final = "tracseq-saga-history"
VERSION: Final = 1
ALGORITHM: Final = "hmac-sha256"
KEY_BYTES_MIN: Final = 32
"""Fewer could be guessed, and the fingerprint would tell when the guess is right."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that whoever signs shares with whoever checks."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a secret that could be guessed.

        Raises:
            ValueError: it is too short.
        """
        if len(self.secret) < KEY_BYTES_MIN:
            raise ValueError(f"a key of {len(self.secret)} bytes is short of {KEY_BYTES_MIN}")

    @property
    def fingerprint(self) -> str:
        """Name the key without telling it: 32 hexadecimal digits."""
        return hashlib.sha256(b"tracseq-export-key\0" + self.secret).hexdigest()[:32]

    def sign(self, digest: str) -> str:
        """Sign a digest together with the key's own name, as hexadecimal HMAC-SHA-256."""
        signed = f"{FORMAT}\0{VERSION}\0{self.fingerprint}\0{digest}".encode()
        return hmac.new(self.secret, signed, hashlib.sha256).hexdigest()


def export_lines(history: Mapping[str, Any], key: Key | None = None) -> Iterator[bytes]:
    """Write `{"transaction_id": ..., "entries": [{"seq", "body"}, ...]}` as lines, each ended.

    With a key the seal is signed.
    """
    entries: list[Mapping[str, Any]] = list(history["entries"])
    digest, head = hashlib.sha256(), GENESIS
    header = encode(header_of(str(history["transaction_id"]), len(entries)))
    digest.update(header)
    yield header
    for entry in entries:
        line = encode({"seq": entry["seq"], "body": entry["body"]})
        digest.update(line)
        head = hash_of(entry["body"].encode())
        yield line
    yield encode(seal_of(head, len(entries), digest.hexdigest(), key))


def header_of(transaction_id: str, entries: int) -> Json:
    """Give the first line."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "transaction_id": transaction_id,
        "entries": entries,
    }


def seal_of(head: str, entries: int, digest: str, key: Key | None) -> Json:
    """Give the last line; `digest` is SHA-256 over every byte of the lines before it."""
    seal: Json = {"head": head, "entries": entries, "digest": digest}
    return seal | ({} if key is None else {"signature": signature_of(digest, key)})


def signature_of(digest: str, key: Key) -> Json:
    """Give the signature of a seal."""
    value = key.sign(digest)
    return {
        "algorithm": ALGORITHM,
        "key": key.fingerprint,
        "value": value,
        "check": check_of(key.fingerprint, value),
    }


def check_of(fingerprint: str, value: str) -> str:
    """Give what shows a damaged signature to whoever has no key."""
    return hashlib.sha256(f"{ALGORITHM}\0{fingerprint}\0{value}".encode()).hexdigest()


def encode(document: Json) -> bytes:
    """Write one line: there is one way only, so that any other is an edit."""
    return write_json(document) + b"\n"
