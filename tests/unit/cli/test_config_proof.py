"""The audit of a configuration as a file: whole it is proved, and no edit of it goes unseen."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import JsonValue

from contracts import subjects
from contracts.config_release import Cause, Released
from contracts.config_types import Change, Environment, Item, Overlay, Release, release_hash
from contracts.config_views import AuditLog
from contracts.entry import GENESIS, Entry, hash_of
from contracts.types import derive_id
from sagas.replay.export import Key
from sagas.replay.verify import TamperedError
from services.cli.config.proof import Proved, audit_lines, check_log, read_audit
from services.config.domain.layers import hash_of as hash_of_items

SERVICE = "sample-service"
START = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
STORY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
FLIPS = 1_000
KEY = Key(b"k" * 32)
OTHER_KEY = Key(b"o" * 32)


def overlay(items: dict[str, Item]) -> Overlay:
    """Make a change that some instances try."""
    return Overlay(
        rollout_id=STORY,
        items=items,
        percents=(10, 100),
        bake_seconds=60,
        stage=0,
        members=("lab-1",),
        began_at=START,
        stage_at=START,
        author="anna",
    )


def item(value: JsonValue) -> Item:
    """Make a key of a release."""
    fields = {"value": value, "tags": ["size"], "source": "staging"}
    return Item.model_validate(fields | {"created_at": START, "set_at": START, "set_by": "anna"})


def release(environment: Environment, version: int, parent: str) -> Release:
    """Make a release; every third one is tried by some instances first."""
    items = {"max_batch_size": item(version), "größe".encode().hex(): item(["größe", None])}
    tried = overlay(items) if version % 3 == 0 else None
    return Release(
        service=SERVICE,
        environment=environment,
        version=version,
        own=items,
        items=items,
        overlay=tried,
        sha256=hash_of_items(items, tried),
        parent=parent,
    )


def entry(released: Release, number: int, prev_hash: str) -> bytes:
    """Write the entry in which a release is kept."""
    change = Change(key="max_batch_size", before=None, after=number * 100, was=number > 1)
    event = Released(
        release=released, cause=Cause.SET, changes=(change,), reason="because", author="anna"
    )
    kept = Entry(
        events=(event,),
        at=START + timedelta(seconds=number),
        actor="anna",
        cause=str(derive_id(STORY, number)),
        correlation="c-1",
        number=number,
        prev_hash=prev_hash,
    )
    return kept.to_bytes()


def log(
    environment: Environment, count: int, edit: Callable[[Release], Release] = lambda one: one
) -> AuditLog:
    """Make the log of an environment; `edit` may spoil a release before it is kept."""
    bodies: list[bytes] = []
    parent = ""
    for version in range(1, count + 1):
        one = edit(release(environment, version, parent))
        parent = one.sha256
        bodies.append(entry(one, version, hash_of(bodies[-1]) if bodies else GENESIS))
    subject = subjects.config_log(SERVICE, environment)
    return AuditLog(subject=subject, entries=[body.decode() for body in bodies])


LOGS = [log(Environment.PRODUCTION, 4), log(Environment.DEFAULT, 3)]


def lines(key: Key | None = None) -> list[bytes]:
    """Export the logs."""
    return list(audit_lines(SERVICE, LOGS, key))


def prove(content: bytes, key: Key | None = None) -> Proved:
    """Read an export as a file is read."""
    return read_audit(content.splitlines(keepends=True), key)


@pytest.mark.parametrize("key", [None, KEY])
def test_what_was_exported_is_proved(key: Key | None) -> None:
    """Logs, entries, releases and heads are told, and with which key it is signed."""
    found = read_audit(lines(key), key)
    assert found.service == SERVICE
    assert [(log.entries, log.releases) for log in found.logs] == [(3, 3), (4, 4)]
    heads = {log.subject: log.head for log in found.logs}
    assert heads == {log.subject: hash_of(log.entries[-1].encode()) for log in LOGS}
    assert found.signed_with == (key.fingerprint if key else None)
    assert found.signature_checked == (key is not None)


def test_an_export_is_the_same_whatever_the_order_of_its_logs() -> None:
    """The same history is the same bytes."""
    assert list(audit_lines(SERVICE, LOGS[::-1])) == lines()


@pytest.mark.parametrize("key", [None, KEY])
def test_any_flipped_bit_is_found(key: Key | None) -> None:
    """In any byte, of the header, an entry, the seal or the signature: 1,000 of 1,000."""
    content = b"".join(lines(key))
    dice = random.Random(4)  # noqa: S311 - where to flip; chosen the same every time
    found = 0
    for _ in range(FLIPS):
        flipped = bytearray(content)
        flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        with pytest.raises(TamperedError):
            prove(bytes(flipped), key)
        found += 1
    assert found == FLIPS


def test_every_single_byte_is_covered() -> None:
    """None of them can be another one, not even a space or a line feed."""
    content = b"".join(lines(KEY))
    for position in range(len(content)):
        edited = bytearray(content)
        edited[position] ^= 1
        with pytest.raises(TamperedError):
            prove(bytes(edited))


def test_any_cut_is_found() -> None:
    """A file that ends early, at any line or in the midst of one, is not whole."""
    whole = lines()
    for count in range(len(whole)):
        with pytest.raises(TamperedError):
            read_audit(whole[:count])
        with pytest.raises(TamperedError):
            read_audit([*whole[:count], whole[count][:-1]])


def test_any_line_that_is_dropped_doubled_or_moved_is_found() -> None:
    """Also whole logs, and what stands behind the seal."""
    whole = lines()
    for at in range(len(whole)):
        without = whole[:at] + whole[at + 1 :]
        for edited in (without, [*whole[: at + 1], *whole[at:]], [whole[at], *without]):
            if edited != whole:
                with pytest.raises(TamperedError):
                    read_audit(edited)


def sealed_anew(logs: list[AuditLog]) -> list[bytes]:
    """Export logs that somebody edited, with a seal that fits them."""
    return list(audit_lines(SERVICE, logs))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"sha256": "0" * 64}, "hash of version"),
        ({"parent": "0" * 64}, "does not follow the release"),
        ({"version": 3}, "follows version"),
        ({"service": "auth-service"}, "belongs to the log"),
        ({"environment": Environment.STAGING}, "belongs to the log tracseq"),
        ({"items": {"max_batch_size": item(1)}}, "is not that of its items"),
        ({"overlay": overlay({"max_batch_size": item(1)})}, "not that of its items"),
    ],
)
def test_a_release_that_contradicts_itself_is_found_though_all_hashes_were_made_anew(
    edit: dict[str, object], says: str
) -> None:
    """Chain and seal fit, and still: hash, parent, version and place must be the release's own."""
    spoilt = log(Environment.PRODUCTION, 2, lambda one: one.model_copy(update=edit))
    with pytest.raises(TamperedError, match=says) as caught:
        read_audit(sealed_anew([spoilt]))
    assert caught.value.line >= 3
    with pytest.raises(TamperedError, match=says):
        check_log(SERVICE, spoilt.subject, spoilt.entries)


def test_a_whole_history_that_was_made_anew_is_found_by_its_signature_alone() -> None:
    """Without a key it is as good as the true one; with it, it is not signed, or by another."""
    forged = [log(Environment.PRODUCTION, 1)]
    assert read_audit(sealed_anew(forged)).signature_checked is False
    with pytest.raises(TamperedError, match="not signed"):
        read_audit(sealed_anew(forged), KEY)
    with pytest.raises(TamperedError, match="is signed with the key"):
        read_audit(list(audit_lines(SERVICE, forged, OTHER_KEY)), KEY)


def test_a_log_that_is_cut_off_where_it_is_kept_differs_in_its_head() -> None:
    """The chain of what is left holds; the head that an auditor wrote down does not."""
    whole = LOGS[0]
    cut = check_log(SERVICE, whole.subject, whole.entries[:-1])
    assert cut.head != check_log(SERVICE, whole.subject, whole.entries).head


@pytest.mark.parametrize("text", ["", "{}\n", "[]\n", "no json\n", '{"format":"other"}\n', "\n"])
def test_what_is_no_audit_is_said_to_be_none(text: str) -> None:
    """Another file is an answer, not a crash."""
    with pytest.raises(TamperedError, match="line 1"):
        prove(text.encode())


def test_the_hash_of_a_release_can_be_had_from_its_json() -> None:
    """What the service computes from its model, an auditor computes from the text alone."""
    for version in (1, 3):
        one = release(Environment.PRODUCTION, version, "")
        assert release_hash(json.loads(one.model_dump_json())) == one.sha256
