"""The audit of a configuration as a file that can be proved anywhere: written and checked here.

JSON lines: a header; for each log a line that names it, and its entries with the very text that was
hashed; a seal over all of it. So a cut tail is found like an edit. Whoever computes everything anew
is found by a signature, or by the heads that an auditor wrote down. Nothing is read from a disk.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, cast

from contracts import subjects
from contracts.config_release import Released
from contracts.config_types import release_hash
from contracts.config_views import AuditLog
from contracts.entry import BrokenChainError, hash_of, verify_chain
from sagas.replay.export import Key, encode, signature_of
from sagas.replay.verify import TamperedError, check_signature, read_line, written

FORMAT: Final = "tracseq-config-audit"
VERSION: Final = 1
RELEASED: Final = Released.contract.type

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log whose chain holds."""

    subject: str
    entries: int
    head: str
    """The hash of the newest entry: what an auditor writes down."""
    releases: int
    """How many releases it holds, of versions 1 to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """An audit that is as it was exported."""

    service: str
    logs: list[Log]
    signed_with: str | None
    """The fingerprint of the key; None where it is not signed."""
    signature_checked: bool


def audit_lines(service: str, logs: Sequence[AuditLog], key: Key | None = None) -> Iterator[bytes]:
    """Write an audit as lines, each ended; with a key the seal is signed."""
    digest = hashlib.sha256()
    for document in _documents(service, sorted(logs, key=lambda log: log.subject)):
        line = encode(document)
        digest.update(line)
        yield line
    heads = {log.subject: hash_of(log.entries[-1].encode()) for log in logs if log.entries}
    yield encode(_seal(heads, digest.hexdigest(), key))


def _documents(service: str, logs: Sequence[AuditLog]) -> Iterator[Json]:
    yield _header(service, len(logs))
    for log in logs:
        yield _log(log.subject, len(log.entries))
        for body in log.entries:
            yield {"body": body}


def _header(service: str, logs: int) -> Json:
    return {"format": FORMAT, "version": VERSION, "service": service, "logs": logs}


def _log(subject: str, entries: int) -> Json:
    return {"log": subject, "entries": entries}


def _seal(heads: Mapping[str, str], digest: str, key: Key | None) -> Json:
    seal: Json = {"heads": dict(sorted(heads.items())), "digest": digest}
    return seal | ({} if key is None else {"signature": signature_of(digest, key)})


def read_audit(lines: Iterable[bytes], key: Key | None = None) -> Proved:
    """Check an exported audit, to its last byte.

    `lines` are the bytes of a file, split behind each line feed. With a key it must be signed with
    it.

    Raises:
        TamperedError: something is not as it was exported; the text says at which line and how.
    """
    reading = _Reading()
    number = 0
    for number, line in enumerate(lines, 1):
        reading.take(number, line, key)
    if reading.proved is None:
        _fail(number + 1, "the file ends here, before the line that seals it.")
    return reading.proved


def check_log(service: str, subject: str, bodies: Sequence[str]) -> Log:
    """Check one log: its chain, and of releases their hashes and that no version is missing.

    Raises:
        TamperedError: it is not whole; the line is the number of the entry.
    """
    _check_chain([body.encode() for body in bodies])
    releases = _Releases(service, subject)
    for number, body in enumerate(bodies, 1):
        releases.take(number, body)
    return Log(
        subject=subject,
        entries=len(bodies),
        head=hash_of(bodies[-1].encode()) if bodies else "",
        releases=releases.count,
    )


@dataclass(slots=True)
class _Reading:
    """A file as far as it was read."""

    service: str = ""
    promised: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    logs: list[Log] = field(default_factory=list[Log])
    open_log: tuple[int, str, int] | None = None
    """Its line, its subject, and how many entries it is to have."""
    bodies: list[str] = field(default_factory=list[str])
    proved: Proved | None = None

    def take(self, number: int, line: bytes, key: Key | None) -> None:
        """Take one line."""
        if self.proved is not None:
            _fail(number, "something follows the line that seals the file.")
        document = read_line(number, line)
        if number == 1:
            self._begin(document, line)
        elif "body" in document:
            self._entry(number, document, line)
        elif "log" in document:
            self._close_log(number)
            self._open_log(number, document, line)
        else:
            self._close_log(number)
            self._seal(number, document, line, key)
        self.digest.update(line)

    def _begin(self, header: Json, line: bytes) -> None:
        if header.get("format") != FORMAT:
            _fail(1, f"no audit of a configuration begins here: {header.get('format')!r}.")
        if header.get("version") != VERSION:
            _fail(1, f"version {header.get('version')!r} of the format is not known.")
        self.service, self.promised = str(header.get("service")), header.get("logs", 0)
        if line != written(_header(self.service, self.promised)):
            _fail(1, "the header is not written as an export writes it.")

    def _open_log(self, number: int, document: Json, line: bytes) -> None:
        subject, entries = str(document["log"]), document.get("entries")
        if type(entries) is not int or line != written(_log(subject, entries)):
            _fail(number, "the log is not named as an export names it.")
        if self.logs and subject <= self.logs[-1].subject:
            _fail(number, "the log is out of order, or there twice.")
        self.open_log, self.bodies = (number, subject, entries), []

    def _entry(self, number: int, document: Json, line: bytes) -> None:
        body = document["body"]
        if self.open_log is None:
            _fail(number, "the entry belongs to no log.")
        if not isinstance(body, str) or line != written({"body": body}):
            _fail(number, "the entry is not written as an export writes it.")
        self.bodies.append(body)

    def _close_log(self, number: int) -> None:
        if self.open_log is None:
            return
        first, subject, entries = self.open_log
        if len(self.bodies) != entries:
            _fail(number, f"{len(self.bodies)} entries of {entries} are there.")
        try:
            self.logs.append(check_log(self.service, subject, self.bodies))
        except TamperedError as error:
            _fail(first + error.line, error.problem)
        self.open_log = None

    def _seal(self, number: int, seal: Json, line: bytes, key: Key | None) -> None:
        if len(self.logs) != self.promised:
            _fail(number, f"{len(self.logs)} logs of {self.promised} are there.")
        heads = {log.subject: log.head for log in self.logs if log.entries}
        expected = _seal(heads, self.digest.hexdigest(), None)
        for name, value in expected.items():
            if seal.get(name) != value:
                _fail(number, f"the lines before, or the seal, were edited: its {name} differs.")
        whole = expected | ({"signature": seal["signature"]} if "signature" in seal else {})
        if line != written(whole):
            _fail(number, "the seal is not written as an export writes it.")
        self.proved = Proved(
            service=self.service,
            logs=self.logs,
            signed_with=check_signature(number, seal, key),
            signature_checked=key is not None,
        )


@dataclass(slots=True)
class _Releases:
    """The releases of one log, as far as they were checked."""

    service: str
    subject: str
    count: int = 0
    newest: str = ""
    """The hash of the newest one."""

    def take(self, number: int, body: str) -> None:
        """Check what one entry releases."""
        try:
            events = cast("list[Json]", json.loads(body)["events"])
            found = [one["data"]["release"] for one in events if one["type"] == RELEASED]
            for release in found:
                self._check(number, release)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, TamperedError):
                raise
            _fail(number, f"it is no entry of a configuration: {type(error).__name__}.")

    def _check(self, number: int, release: Json) -> None:
        subject = subjects.config_log(release["service"], release["environment"])
        if release["service"] != self.service or subject != self.subject:
            _fail(number, f"it releases what belongs to the log {subject}.")
        if release["version"] != self.count + 1:
            _fail(number, f"version {release['version']} follows version {self.count}.")
        if release["parent"] != self.newest:
            _fail(number, f"version {release['version']} does not follow the release before it.")
        if release["sha256"] != release_hash(release):
            _fail(number, f"the hash of version {release['version']} is not that of its items.")
        self.count, self.newest = release["version"], release["sha256"]


def _check_chain(bodies: Sequence[bytes]) -> None:
    taken = 0

    def taking() -> Iterator[bytes]:
        nonlocal taken
        for body in bodies:
            taken += 1
            yield body

    try:
        verify_chain(taking())
    except (BrokenChainError, RecursionError) as error:
        _fail(taken, f"{error}; it, or the one before, is not as it was.")


def _fail(line: int, problem: str) -> NoReturn:
    raise TamperedError(line, problem)
