"""How entries and exports are written and read: one text for one document, whoever writes it."""

import json
import sys

import pytest

from contracts.entry import parse_json, write_json

SURROGATES = range(0xD800, 0xE000)


def plainly(document: dict[str, object]) -> bytes:
    """Write JSON with the standard library alone."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def test_every_character_is_written_as_the_standard_library_writes_it() -> None:
    """Hashes are over these bytes, so histories of long ago are the same text today."""
    for plane in range(0, sys.maxunicode + 1, 0x1000):
        text = "".join(chr(c) for c in range(plane, plane + 0x1000) if c not in SURROGATES)
        document: dict[str, object] = {"text": text}
        assert write_json(document) == plainly(document)


@pytest.mark.parametrize("value", [2**64, -(2**70), 2**63, 0, None, True, "", [], {}, [{"a": [1]}]])
def test_every_value_is_written_and_read_back(value: object) -> None:
    """A number beyond 64 bits is written whole; it is read as whole where it decides anything."""
    document = {"value": value}
    assert write_json(document) == plainly(document)
    assert json.loads(write_json(document)) == document


def test_half_a_character_is_refused() -> None:
    """It is no Unicode, and no hash could be over it."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        write_json({"text": "\ud800"})


@pytest.mark.parametrize("text", [b'{"n":NaN}', b"\xef\xbb\xbf{}", b'{"half":"\\ud800"}'])
def test_what_the_standard_library_reads_is_read(text: bytes) -> None:
    """The quicker reader takes less; what it leaves is read all the same."""
    assert str(parse_json(text)) == str(json.loads(text))


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":01}', b'{"a":1}x'])
def test_what_cannot_be_read_is_told_by_the_standard_library(text: bytes) -> None:
    """Its words name the line and the column."""
    with pytest.raises(json.JSONDecodeError, match="line 1 column"):
        parse_json(text)
