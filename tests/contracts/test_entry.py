"""Entries: a chain that verifies, and no single change to it that goes unseen."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import UnknownTypeError
from contracts.entry import GENESIS, BrokenChainError, Entry, hash_of, read_entry, verify_chain
from contracts.sample import BarcodeClaimed, BarcodeReleased
from contracts.types import SampleId, derive_id

SAMPLE = SampleId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
START = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)


def entry(number: int, prev_hash: str, actor: str = "anna") -> Entry:
    """Make one entry of a barcode's log."""
    kind = BarcodeClaimed if number % 2 else BarcodeReleased
    return Entry(
        events=(kind(barcode="LAB-1", sample_id=SAMPLE),),
        at=START + timedelta(seconds=number),
        actor=actor,
        cause=str(derive_id(SAMPLE, number)),
        correlation="c-1",
        number=number,
        prev_hash=prev_hash,
    )


def chain(actors: list[str]) -> list[bytes]:
    """Make a log with one entry for each actor."""
    bodies: list[bytes] = []
    for number, actor in enumerate(actors, start=1):
        prev_hash = hash_of(bodies[-1]) if bodies else GENESIS
        bodies.append(entry(number, prev_hash, actor).to_bytes())
    return bodies


ACTORS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=8)
LOGS = ACTORS.map(chain)
"""Logs of 0 to 8 entries."""
LONGER_LOGS = LOGS.filter(lambda bodies: len(bodies) > 1)


@given(LOGS)
def test_a_chain_verifies_and_is_counted(bodies: list[bytes]) -> None:
    """What was appended one after the other is an unbroken log."""
    assert verify_chain(bodies) == len(bodies)


@given(LONGER_LOGS, st.data())
def test_an_edited_entry_is_found(bodies: list[bytes], data: st.DataObject) -> None:
    """Whichever entry, and whatever about it is edited, unless it is the newest one."""
    at = data.draw(st.integers(0, len(bodies) - 2))
    document = json.loads(bodies[at])
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = "edited" if key != "number" else document[key] + 1
    bodies[at] = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    with pytest.raises(BrokenChainError):
        verify_chain(bodies)


@given(LONGER_LOGS, st.data())
def test_a_single_changed_byte_is_found(bodies: list[bytes], data: st.DataObject) -> None:
    """The hash is over the bytes: not even a space that means nothing can be changed."""
    at = data.draw(st.integers(0, len(bodies) - 2))
    where = data.draw(st.integers(0, len(bodies[at]) - 1))
    changed = bytearray(bodies[at])
    changed[where] ^= data.draw(st.integers(1, 255))
    bodies[at] = bytes(changed)
    with pytest.raises(BrokenChainError):
        verify_chain(bodies)


@given(LONGER_LOGS, st.data())
def test_a_dropped_entry_is_found(bodies: list[bytes], data: st.DataObject) -> None:
    """Any one but the newest: what is missing at the end is for the stream's sequence to tell."""
    del bodies[data.draw(st.integers(0, len(bodies) - 2))]
    with pytest.raises(BrokenChainError):
        verify_chain(bodies)


@given(LONGER_LOGS, st.data())
def test_an_inserted_entry_is_found(bodies: list[bytes], data: st.DataObject) -> None:
    """Also one that was made to fit the entry before it."""
    at = data.draw(st.integers(0, len(bodies) - 1))
    prev_hash = hash_of(bodies[at - 1]) if at else GENESIS
    bodies.insert(at, entry(at + 1, prev_hash, "mallory").to_bytes())
    with pytest.raises(BrokenChainError):
        verify_chain(bodies)


@given(LONGER_LOGS, st.data())
def test_two_entries_that_changed_places_are_found(
    bodies: list[bytes], data: st.DataObject
) -> None:
    """Any two, neighbours or not."""
    one = data.draw(st.integers(0, len(bodies) - 2))
    other = data.draw(st.integers(one + 1, len(bodies) - 1))
    bodies[one], bodies[other] = bodies[other], bodies[one]
    with pytest.raises(BrokenChainError):
        verify_chain(bodies)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"number":1}', b"null", b'"text"'])
def test_an_entry_that_cannot_be_read_breaks_the_chain(body: bytes) -> None:
    """Damage is told as damage, with the entry's place."""
    with pytest.raises(BrokenChainError, match="entry 1 cannot be read"):
        verify_chain([body])


def test_an_entry_is_read_as_it_was_written() -> None:
    """Events, circumstances and effects survive; where it is kept comes from the stream."""
    written = Entry(
        events=(BarcodeClaimed(barcode="LAB-1", sample_id=SAMPLE),),
        at=START,
        actor="Zoë",
        cause="m-1",
        correlation="c-1",
        number=1,
        prev_hash=GENESIS,
        effects={"commands": [{"type": "sample.register"}]},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    body = written.to_bytes()
    read = read_entry(body, subject="kept.here", seq=42)
    assert read == written.kept(subject="kept.here", seq=42, hash=hash_of(body))
    assert read.to_bytes() == body


def test_an_entry_with_an_event_nobody_knows_is_not_read() -> None:
    """A log is never read with holes in it."""
    body = entry(1, GENESIS).to_bytes().replace(b"sample.barcode_claimed", b"sample.barcode_cursed")
    with pytest.raises(UnknownTypeError, match="barcode_cursed"):
        read_entry(body, subject="kept.here", seq=1)
