"""Golden wire files: what a message version looks like, once and for ever.

A file holds the headers and the body of one example. It is compared byte for byte with what the
code writes today, and every file that was ever written is read with the code of today.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts import catalog, envelope
from contracts.envelope import Envelope
from contracts.errors import Refusal
from contracts.export.examples import FIRST_ID, example
from contracts.message import Message

GOLDEN = Path(__file__).parent / "golden"
REFUSAL_PREFIX = "refusal."

CHANGED = """\
{name}: its wire form differs from {file}.
If a log or a stream anywhere may hold this version, give the class the next `version=`, register an
upcaster from the old version (contracts/versions.py) and keep the file: it is how the old version
is still tested. Only if this version was never written outside tests, delete the file.
Then run: pytest tests/contracts --update-goldens"""
MISSING = """\
{name} has no golden file {file}.
Run: pytest tests/contracts --update-goldens, look at the file, and commit it."""


def wire(message: Message) -> str:
    """Write a message as the golden file of its version."""
    contract = message.contract
    sent = Envelope(
        id=str(FIRST_ID),
        type=contract.type,
        version=contract.version,
        source=f"/tracseq/{contract.owner}",
        time=datetime(2026, 3, 14, 9, 26, 53, 589793, UTC),
        data=message.model_dump_json().encode(),
        subject="Probe 7 / Tür",
        correlation="01890a5d-ac96-774b-bcce-b302099a8000",
        causation="01890a5d-ac96-774b-bcce-b302099a8001",
        actor="Zoë Høst",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return dump({"headers": sent.headers(), "body": json.loads(sent.data)})


def refused(refusal: Refusal) -> str:
    """Write a refusal as its golden file."""
    answer = {"refused": catalog.encode_refusal(refusal)}
    return dump({"body": answer, "problem": refusal.to_problem("0" * 32).model_dump(mode="json")})


def dump(document: dict[str, Any]) -> str:
    """Write JSON for people to compare."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def check(name: str, file: Path, now: str, *, update: bool) -> None:
    """Compare with the golden file; write it where it is missing and may be written."""
    shown = file.relative_to(GOLDEN.parents[2])
    if update and not file.exists():
        file.write_text(now, encoding="utf-8")
    assert file.exists(), MISSING.format(name=name, file=shown)
    assert now == file.read_text(encoding="utf-8"), CHANGED.format(name=name, file=shown)


@pytest.mark.parametrize("type_", sorted(catalog.MESSAGES))
def test_a_message_is_written_as_its_golden_file_says(type_: str, *, update_goldens: bool) -> None:
    """Headers and body of the present version are what they always were."""
    message = catalog.MESSAGES[type_]
    file = GOLDEN / f"{type_}.v{message.contract.version}.json"
    name = f"{type_} version {message.contract.version}"
    check(name, file, wire(example(message)), update=update_goldens)


@pytest.mark.parametrize("code", sorted(catalog.REFUSALS))
def test_a_refusal_is_written_as_its_golden_file_says(code: str, *, update_goldens: bool) -> None:
    """The answer on the wire and the problem over HTTP are what clients know."""
    file = GOLDEN / f"{REFUSAL_PREFIX}{code}.json"
    now = refused(example(catalog.REFUSALS[code]))
    check(f"refusal {code}", file, now, update=update_goldens)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.v[0-9]*.json")), ids=lambda file: file.stem)
def test_every_version_ever_written_is_read_as_todays(file: Path) -> None:
    """No type is forgotten, and old versions are carried up by their upcasters."""
    document = json.loads(file.read_text(encoding="utf-8"))
    found = envelope.parse(document["headers"], json.dumps(document["body"]).encode())
    assert file.stem == f"{found.type}.v{found.version}"
    assert found.subject == "Probe 7 / Tür"
    assert found.actor == "Zoë Høst"
    message = catalog.decode(found.type, found.version, found.data)
    assert type(message) is catalog.message_class(found.type)


@pytest.mark.parametrize(
    "file", sorted(GOLDEN.glob(f"{REFUSAL_PREFIX}*.json")), ids=lambda file: file.stem
)
def test_every_refusal_ever_answered_is_read(file: Path) -> None:
    """A recorded outcome or a saga's log may hold any of them."""
    body = json.loads(file.read_text(encoding="utf-8"))["body"]
    refusal = catalog.decode_refusal(body["refused"])
    assert file.stem == f"{REFUSAL_PREFIX}{refusal.spec.code}"


def test_a_changed_wire_form_fails_and_says_what_to_do(tmp_path: Path) -> None:
    """Neither a difference nor a missing file passes, and updating never touches what is there."""
    file = GOLDEN / "sample.registered.v1.json"
    before = file.read_text(encoding="utf-8")
    with pytest.raises(AssertionError, match="give the class the next `version=`"):
        check("sample.registered version 1", file, "{}\n", update=True)
    assert file.read_text(encoding="utf-8") == before
    missing = GOLDEN / tmp_path.name
    with pytest.raises(AssertionError, match=r"has no golden file .*\n *Run: pytest"):
        check("sample.new version 1", missing, "{}\n", update=False)
