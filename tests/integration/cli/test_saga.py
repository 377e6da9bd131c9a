"""`tracseq saga` on a running system: as a person or a script would use it, process by process."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from contracts.lab_processes import DisposeSamples
from contracts.transaction import TransactionStatus
from contracts.types import TransactionId
from services.cli.exits import Exit
from tests.fixtures.cli import ROOT, Ended, run_cli
from tests.fixtures.lab_processes import awaiting, begin, stored
from tests.fixtures.manifests import csv, rows
from tests.fixtures.system import Whole, whole_system

HISTORIES = str(ROOT / "tests/sagas/histories")
UNKNOWN = "0198c0de-0000-7000-8000-000000000001"
REASON = ("--reason", "the freezer is being moved")


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncGenerator[Whole]:
    """Give a running system."""
    async with whole_system(tmp_path / "data") as running:
        yield running


async def saga(whole: Whole, *arguments: str) -> Ended:
    """Run a command of the group against the system."""
    env = {"TRACSEQ_EDGE_URL": whole.info.services["edge"], "TRACSEQ_ACTOR": "grace"}
    return await run_cli("saga", *arguments, env=env)


async def disposal(whole: Whole, barcode: str) -> TransactionId:
    """Begin a disposal, and give it once it waits for approvals."""
    sample_id = await stored(whole, barcode)
    command = DisposeSamples(
        sample_ids=[sample_id], reason="the study is over", approvers=["grace", "lise"]
    )
    return (await awaiting(whole, await begin(whole, command))).transaction_id


async def test_a_transaction_is_looked_at_exported_and_checked(
    whole: Whole, tmp_path: Path
) -> None:
    """Shown, drawn, at any time; its sealed file verifies and replays, and an edit is found."""
    one = str((await whole.take("a.csv", csv(rows("A", 2)))).transaction_id)
    file, key, picture = tmp_path / "one.jsonl", tmp_path / "audit.key", tmp_path / "one.svg"
    key.write_bytes(bytes(range(32)))

    shown = await saga(whole, "show", one, "--trace-url", "http://traces/{trace_id}")
    first = (await saga(whole, "show", one, "--json")).document["history"]["transitions"][0]
    state = await saga(whole, "state", one, "--at", str(first["seq"]), "--json")
    drawn = await saga(whole, "show", one, "--svg", str(picture))
    flow = await saga(whole, "diagram", one)
    exported = await saga(whole, "export", one, "--out", str(file), "--sign", str(key), "--json")
    verified = await saga(whole, "verify", str(file), one, "--json")
    signed = await saga(whole, "verify", str(file), "--key", str(key))
    replayed = await saga(whole, "replay", str(file), one, "--json")
    tried = await saga(whole, "what-if", "--type", "sample_intake", "--version", "1", "--json")
    # Within an entry: the seal and the signature may hold the same letters.
    file.write_bytes(file.read_bytes().replace(b'actor\\":\\"ada', b'actor\\":\\"eve', 1))
    edited = await saga(whole, "verify", str(file), "--json")

    assert "step_asked" in shown.out
    assert "http://traces/" in shown.out
    assert state.document["transitions"] == 1
    assert drawn.code == Exit.DONE
    assert picture.read_text().startswith("<svg")
    assert "flowchart" in flow.out
    assert exported.document["entries"] > 1
    assert [h["whole"] for h in verified.document["histories"]] == [True, True]
    assert len({h["head"] for h in verified.document["histories"]}) == 1
    assert "signed with" in signed.out
    assert (replayed.code, replayed.document["histories"]) == (Exit.DONE, 2)
    assert tried.document["same"] == tried.document["transactions"] == 1
    assert edited.code == Exit.REFUSED
    (found,) = edited.document["histories"]
    assert found["line"] in {2, 3}


async def test_an_order_is_tried_given_and_shown(whole: Whole, tmp_path: Path) -> None:
    """Dry runs change nothing; pause, resume, approve and cancel do, one transaction or many."""
    one, other = await disposal(whole, "D-1"), await disposal(whole, "D-2")

    tried = await saga(whole, "pause", str(one), *REASON, "--dry-run", "--json")
    paused = await saga(whole, "pause", str(one), *REASON, "--json")
    resumed = await saga(whole, "resume", str(one), *REASON, "--json")
    approved = await saga(whole, "approve", str(one), "--comment", "agreed", "--json")
    waits = await saga(whole, "show", str(one))
    many = ("cancel", "--type", "sample_disposal", "--status", "awaiting", *REASON)
    unasked = await saga(whole, *many)
    foreseen = await saga(whole, *many, "--dry-run", "--json")
    cancelled = await saga(whole, *many, "--yes", "--json")
    bulk = await saga(whole, "orders", "show", cancelled.document["bulk_id"], "--json")
    folder = tmp_path / "exported"
    exported = await saga(
        whole, "export", "--type", "sample_disposal", "--out", str(folder), "--json"
    )
    replayed = await saga(whole, "replay", str(folder), "--json")

    assert (tried.document["before"], tried.document["after"]) == ("awaiting", "paused")
    assert tried.document["dry_run"] is True
    assert (paused.document["before"], paused.document["after"]) == ("awaiting", "paused")
    assert resumed.document["after"] == "awaiting"
    assert approved.code == Exit.DONE, approved.err
    assert "1 of 2: grace" in waits.out
    assert (unasked.code, "--yes" in unasked.err) == (Exit.USAGE, True)
    assert (foreseen.document["selected"], foreseen.document["done"]) == (2, 2)
    assert (cancelled.document["done"], cancelled.document["refused"]) == (2, {})
    assert bulk.document["finished"] is True
    for transaction_id in (one, other):
        assert (await whole.ended(transaction_id)).status is TransactionStatus.CANCELLED
    assert len(exported.document) == 2
    assert (replayed.code, replayed.document["diverged"]) == (Exit.DONE, [])


async def test_an_order_that_makes_no_sense_is_refused(whole: Whole) -> None:
    """What cannot be retried, forked, found or read is one line, with what to do."""
    one = await disposal(whole, "D-3")

    retried = await saga(whole, "retry", str(one), *REASON)
    forked = await saga(whole, "fork", str(one), "--at", "nowhere", *REASON)
    unknown = await saga(whole, "show", UNKNOWN)
    told = await saga(whole, "signal", str(one), "weather", '{"sunny": true}')
    unread = await saga(whole, "complete", str(one), *REASON, "--output", "[1]")

    for ended in (retried, forked, unknown, told):
        assert ended.code == Exit.REFUSED, ended
        assert len(ended.err.strip().splitlines()) == 1
    assert "waits for: approval" in told.err
    assert unread.code == Exit.USAGE


async def test_files_need_no_system(tmp_path: Path) -> None:
    """Replay, verification, what-if, lint and pictures of definitions read what is there."""
    trial = tmp_path / "trial.py"
    trial.write_text(
        "from contracts.transaction import SubmitManifest\n"
        "from contracts.template import ValidateManifest\n"
        "from sagas.engine.writing import saga, step\n"
        'TRIAL = saga("Trial", version=1, starts_with=SubmitManifest)(\n'
        '    step("validate", ask=ValidateManifest),\n'
        ")\n"
    )

    replayed = await run_cli("saga", "replay", HISTORIES, "--json")
    tried = await run_cli(
        "saga", "what-if", HISTORIES, "--type", "sample_intake", "--version", "1", "--json"
    )
    verified = await run_cli("saga", "verify", HISTORIES, "--json")
    drawn = await run_cli("saga", "diagram", "sample_disposal", "--version", "1")
    good = await run_cli("saga", "lint", "--json")
    bad = await run_cli("saga", "lint", f"{trial}:TRIAL")
    missing = await run_cli("saga", "replay", str(tmp_path / "nowhere"))

    assert (replayed.code, replayed.document["diverged"]) == (Exit.DONE, [])
    assert replayed.document["per_second"] > 0
    assert tried.document["changed"] == []
    assert verified.document["whole"] == verified.document["verified"] > 0
    assert "flowchart" in drawn.out
    assert (good.code, json.loads(good.out)["faults"]) == (Exit.DONE, [])
    assert bad.code == Exit.REFUSED
    assert "trial.py:" in bad.out
    assert "compensatable and has no undo" in bad.out
    assert missing.code == Exit.USAGE
