"""Whether an exported history is as it was sealed: no byte, line or number edited since.

Any single edit, deletion, insertion or reordering is found, in the header and the seal as well, and
told with its line. Whoever edits a file and computes everything anew is found by a signature alone:
without a key to check it, such a file is as good as the true one.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, cast

from contracts.entry import BrokenChainError, hash_of, parse_json, verify_chain
from sagas.replay.export import (
    ALGORITHM,
    FORMAT,
    VERSION,
    Key,
    check_of,
    encode,
    header_of,
    seal_of,
)

Json = dict[str, Any]
_SIGNATURE: Final = {"algorithm", "key", "value", "check"}


class TamperedError(ValueError):
    """A file is not as it was exported; the text says at which line and how."""

    def __init__(self, line: int, problem: str) -> None:
        """Name the line, counted from 1, and what is wrong there."""
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A history whose seal holds."""

    transaction_id: str
    entries: list[Json]
    """`{"seq", "body"}` each, as `replay` takes them."""
    head: str
    """The hash of the newest entry."""
    signed_with: str | None
    """The fingerprint of the key; None where it is not signed."""
    signature_checked: bool
    """Whether the key was there to check it with."""

    @property
    def history(self) -> Json:
        """Give the history as `replay` takes it."""
        return {"transaction_id": self.transaction_id, "entries": self.entries}


def is_export(document: object) -> bool:
    """Say whether the first line of a file is that of an export."""
    return isinstance(document, dict) and "format" in cast("Json", document)


def read_exports(lines: Iterable[bytes], key: Key | None = None) -> Iterator[Sealed]:
    """Read sealed histories, one after the other, each checked before it is given.

    `lines` are the bytes of a file, split behind each line feed. With a key every one of them must
    be signed with it.

    Raises:
        TamperedError: something is not as it was exported; nothing behind it is read.
    """
    open_one: _Open | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        document = read_line(number, line)
        if open_one is None:
            open_one = _Open(number, document, line)
        elif "body" in document:
            open_one.take(number, document, line)
        else:
            yield open_one.close(number, document, line, key)
            open_one = None
    if number == 0:
        raise TamperedError(1, "there is nothing.")
    if open_one is not None:
        raise TamperedError(number, "the file ends here, before the line that seals it.")


@dataclass(slots=True)
class _Open:
    """A history whose seal did not come yet."""

    first: int
    header: Json
    line: bytes
    entries: list[Json] = field(default_factory=list[Json])
    digest: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        header = self.header
        if header.get("format") != FORMAT:
            _fail(self.first, f"no history begins here: its format is {header.get('format')!r}.")
        if header.get("version") != VERSION:
            _fail(self.first, f"version {header.get('version')!r} of the format is not known.")
        if not isinstance(header.get("transaction_id"), str) or not _is_count(
            header.get("entries")
        ):
            _fail(self.first, "it does not say whose history follows, and how many entries.")
        if self.line != written(header_of(header["transaction_id"], header["entries"])):
            _fail(self.first, "the header is not written as an export writes it.")
        self.digest.update(self.line)

    def take(self, number: int, entry: Json, line: bytes) -> None:
        """Take one entry."""
        seq, body = entry.get("seq"), entry.get("body")
        if not _is_count(seq) or not isinstance(body, str):
            _fail(number, "it is no entry with a sequence and a text.")
        if line != written({"seq": seq, "body": body}):
            _fail(number, "the entry is not written as an export writes it.")
        if self.entries and seq <= self.entries[-1]["seq"]:
            _fail(number, f"sequence {seq} does not follow {self.entries[-1]['seq']}.")
        self.entries.append(entry)
        self.digest.update(line)

    def close(self, number: int, seal: Json, line: bytes, key: Key | None) -> Sealed:
        """Check the whole against its seal."""
        bodies = [one["body"].encode() for one in self.entries]
        self._check_chain(bodies)
        self._check_owner()
        count = len(bodies)
        if self.header["entries"] != count:
            _fail(self.first, f"the header promises {self.header['entries']} entries of {count}.")
        expected = seal_of(hash_of(bodies[-1]), count, self.digest.hexdigest(), None)
        for name, value in expected.items():
            if seal.get(name) != value:
                _fail(number, f"{_WHY[name]}: the seal says {seal.get(name)!r}, not {value!r}.")
        signature = seal.get("signature")
        whole = expected | ({"signature": signature} if "signature" in seal else {})
        if line != written(whole):
            _fail(number, "the seal is not written as an export writes it.")
        signed_with = check_signature(number, seal, key)
        return Sealed(
            transaction_id=self.header["transaction_id"],
            entries=self.entries,
            head=expected["head"],
            signed_with=signed_with,
            signature_checked=key is not None,
        )

    def _check_chain(self, bodies: list[bytes]) -> None:
        taken = 0

        def taking() -> Iterator[bytes]:
            nonlocal taken
            for body in bodies:
                taken += 1
                yield body

        try:
            count = verify_chain(taking())
        except (BrokenChainError, RecursionError) as error:
            _fail(self.first + taken, f"{error}; it, or the line before, is not as it was.")
        if count == 0:
            _fail(self.first, "there are no entries.")

    def _check_owner(self) -> None:
        """See that the header names whose entries these are."""
        try:
            first = parse_json(self.entries[0]["body"].encode())
            owner = first["events"][0]["data"]["transaction_id"]
        except (ValueError, LookupError, TypeError):
            _fail(self.first + 1, "the first entry does not begin a transaction.")
        if owner != self.header["transaction_id"]:
            said = self.header["transaction_id"]
            _fail(self.first, f"the header says {said!r}, and the entries are those of {owner!r}.")


_WHY: Final = {
    "head": "the last entry, or the seal, was edited",
    "entries": "entries are missing or added, or the seal was edited",
    "digest": "a number of the lines before, or the seal, was edited",
}


def check_signature(number: int, seal: Json, key: Key | None) -> str | None:
    """Check the signature of a seal whose digest holds, and name its key; None without one.

    Raises:
        TamperedError: it was edited, or a key was given and it is not of that.
    """
    signature = seal.get("signature")
    if "signature" not in seal:
        if key is not None:
            _fail(number, "it is not signed, and a key was given to check it with.")
        return None
    if not isinstance(signature, dict) or cast("Json", signature).keys() != _SIGNATURE:
        _fail(number, "its signature is not one.")
    said = cast("Json", signature)
    fingerprint, value = str(said["key"]), str(said["value"])
    if (said["algorithm"], said["check"]) != (ALGORITHM, check_of(fingerprint, value)):
        _fail(number, "its signature was edited.")
    if key is not None:
        _check_key(number, said, seal["digest"], key)
    return fingerprint


def _check_key(number: int, said: Json, digest: str, key: Key) -> None:
    if said["key"] != key.fingerprint:
        _fail(number, f"it is signed with the key {said['key']}, not with {key.fingerprint}.")
    if not hmac.compare_digest(str(said["value"]), key.sign(digest)):
        _fail(number, "its signature is not that of the key: it was sealed by somebody else.")


def read_line(number: int, line: bytes) -> Json:
    """Read one line of an export.

    Raises:
        TamperedError: it is cut off, or no JSON object.
    """
    if not line.endswith(b"\n"):
        _fail(number, "the line is cut off.")
    try:
        document = parse_json(line)
    except (ValueError, RecursionError) as error:
        _fail(number, f"it cannot be read: {error}.")
    if not isinstance(document, dict):
        _fail(number, "it is no line of an export.")
    return cast("Json", document)


def written(document: Json) -> bytes:
    """Write a line as an export would; nothing where its text cannot be written at all."""
    try:
        return encode(document)
    except ValueError:
        return b""


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _fail(line: int, problem: str) -> NoReturn:
    raise TamperedError(line, problem)
