"""Sealed exports: what is written is read again, and any single edit is found."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sagas.replay.export import Key, encode, export_lines, seal_of
from sagas.replay.verify import TamperedError, read_exports

FOLDER = Path(__file__).with_name("histories")
KEY, OTHER = Key(b"k" * 32), Key(b"o" * 32)
TRIALS = 10_000
SEED = 20_260_131


def history_of(path: Path) -> dict[str, Any]:
    """Read a recorded history."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    first = json.loads(entries[0]["body"])["events"][0]["data"]
    return {"transaction_id": first["transaction_id"], "entries": entries}


HISTORIES = [history_of(path) for path in sorted(FOLDER.glob("*.jsonl"))]
SHORT = min(HISTORIES, key=lambda history: len(str(history)))


def read(content: bytes, key: Key | None = None) -> list[dict[str, Any]]:
    """Read a file, and give its histories."""
    return [one.history for one in read_exports(io.BytesIO(content), key)]


def sealed(history: dict[str, Any], key: Key | None = None) -> bytes:
    """Write a file."""
    return b"".join(export_lines(history, key))


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_what_is_exported_is_read_again(key: Key | None) -> None:
    """Every recorded history, alone and several in one file; with the key and without."""
    contents = [sealed(history, key) for history in HISTORIES]

    assert [read(content) for content in contents] == [[one] for one in HISTORIES]
    assert read(b"".join(contents), key) == HISTORIES


def test_an_export_tells_what_it_holds() -> None:
    """Whose history, how many entries, the head for an auditor's notes, and who signed."""
    (one,) = read_exports(io.BytesIO(sealed(SHORT, KEY)), KEY)

    assert one.transaction_id == SHORT["transaction_id"]
    assert (one.signed_with, one.signature_checked) == (KEY.fingerprint, True)
    (unchecked,) = read_exports(io.BytesIO(sealed(SHORT, KEY)))
    assert (unchecked.signed_with, unchecked.signature_checked) == (KEY.fingerprint, False)


Tampering = Callable[[Random, bytes], bytes]


def _flip(dice: Random, content: bytes) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << dice.randrange(8))]) + content[at + 1 :]


def _flip_near_the_end(dice: Random, content: bytes) -> bytes:
    last = len(content.splitlines(keepends=True)[-1])
    return content[:-last] + _flip(dice, content[-last:])


def _cut(dice: Random, content: bytes) -> bytes:
    return content[: dice.randrange(len(content))]


def _drop_byte(dice: Random, content: bytes) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + content[at + 1 :]


def _add_byte(dice: Random, content: bytes) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + bytes([dice.randrange(256)]) + content[at:]


def _lines(change: Callable[[Random, list[bytes]], None]) -> Tampering:
    def tamper(dice: Random, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        change(dice, lines)
        return b"".join(lines)

    return tamper


def _delete(dice: Random, lines: list[bytes]) -> None:
    del lines[dice.randrange(len(lines))]


def _double(dice: Random, lines: list[bytes]) -> None:
    lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))


def _insert(dice: Random, lines: list[bytes]) -> None:
    foreign = dice.choice([b"\n", b"{}\n", encode({"seq": 5, "body": "{}"})])
    lines.insert(dice.randrange(len(lines) + 1), foreign)


def _swap(dice: Random, lines: list[bytes]) -> None:
    one, other = dice.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]


def _renumber(dice: Random, lines: list[bytes]) -> None:
    at = dice.randrange(1, len(lines) - 1)
    entry = json.loads(lines[at])
    lines[at] = encode({**entry, "seq": entry["seq"] + dice.choice([-1, 1, 1_000])})


def _reword(dice: Random, lines: list[bytes]) -> None:
    at = dice.randrange(len(lines))
    lines[at] = json.dumps(json.loads(lines[at]), separators=(", ", ":")).encode() + b"\n"


def _recount(dice: Random, lines: list[bytes]) -> None:
    at = dice.choice([0, len(lines) - 1])
    document = json.loads(lines[at])
    lines[at] = encode({**document, "entries": document["entries"] + dice.choice([-1, 1])})


TAMPERINGS: list[Tampering] = [
    *(_flip, _flip_near_the_end, _cut, _drop_byte, _add_byte),
    *map(_lines, (_delete, _double, _insert, _swap, _renumber, _reword, _recount)),
]


def _is_found(tampered: bytes) -> bool:
    try:
        list(read_exports(io.BytesIO(tampered)))
    except TamperedError as error:
        return error.line >= 1 and bool(error.problem)
    return False


def test_any_single_tampering_is_found() -> None:
    """10,000 seeded ones over the recorded histories, signed and not, without the key at hand."""
    dice = Random(SEED)  # noqa: S311 - repeatable, and no secret
    contents = [sealed(history, key) for history in HISTORIES for key in (None, KEY)]
    trials = 0
    missed: list[tuple[int, int]] = []
    while trials < TRIALS:
        which = dice.randrange(len(TAMPERINGS))
        content = dice.choice(contents)
        tampered = TAMPERINGS[which](dice, content)
        if tampered == content:
            continue
        trials += 1
        if not _is_found(tampered):
            missed.append((trials, which))

    assert missed == []


@pytest.mark.parametrize(
    ("dropped", "line", "said"),
    [
        (1, 2, "number 2"),
        (-1, 0, "before the line that seals"),
        (0, 1, "no history begins here"),
    ],
)
def test_the_line_at_fault_is_named(dropped: int, line: int, said: str) -> None:
    """Counted from 1; 0 stands for the last there is."""
    lines = sealed(SHORT).splitlines(keepends=True)
    del lines[dropped]

    with pytest.raises(TamperedError, match=said) as caught:
        read(b"".join(lines))

    assert caught.value.line == (line or len(lines))


def test_whoever_seals_anew_is_found_by_the_signature_alone() -> None:
    """An entry dropped and all recomputed: whole without a key, refused with it."""
    shorter = {**SHORT, "entries": SHORT["entries"][:-1]}

    assert read(sealed(shorter)) == [shorter]
    with pytest.raises(TamperedError, match="not signed"):
        read(sealed(shorter), KEY)
    with pytest.raises(TamperedError, match="signed with the key"):
        read(sealed(shorter, OTHER), KEY)
    content = sealed(shorter, OTHER).replace(OTHER.fingerprint.encode(), KEY.fingerprint.encode())
    with pytest.raises(TamperedError, match="signature was edited"):
        read(content, KEY)


def test_a_signature_of_another_file_does_not_fit() -> None:
    """Taken over from an older export of the same transaction, it is refused by the key."""
    lines = sealed({**SHORT, "entries": SHORT["entries"][:-1]}).splitlines(keepends=True)
    seal, signed = json.loads(lines[-1]), json.loads(sealed(SHORT, KEY).splitlines()[-1])
    lines[-1] = encode(
        seal_of(seal["head"], seal["entries"], seal["digest"], None)
        | {"signature": signed["signature"]}
    )

    with pytest.raises(TamperedError, match="sealed by somebody else"):
        read(b"".join(lines), KEY)


def test_a_key_that_could_be_guessed_is_refused() -> None:
    """32 bytes at least; its text never shows the secret."""
    with pytest.raises(ValueError, match="32"):
        Key(b"secret")
    assert "kkk" not in repr(KEY)
