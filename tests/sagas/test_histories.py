"""Recorded histories of real sagas (see record.py), replayed through today's definitions."""

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.transaction import TransactionStatus
from sagas.replay.replay import replay

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.jsonl"))


def read(path: Path) -> dict[str, Any]:
    """Read a history as an export; the file stands for the transaction in reports."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {"transaction_id": path.stem, "entries": [json.loads(line) for line in lines]}


def events(path: Path) -> list[dict[str, Any]]:
    """List what happened in a history, in order."""
    bodies = [json.loads(entry["body"]) for entry in read(path)["entries"]]
    return [event for body in bodies for event in body["events"]]


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
def test_a_recorded_history_comes_out_as_it_did(path: Path) -> None:
    """Chains are whole, and every transition asks for the same commands and timers as then."""
    report = replay([read(path)])
    assert [one.problem for one in report.unreplayable] == []
    assert report.to_json()["diverged"] == []
    assert report.transitions == len(read(path)["entries"])


REFUSED_AT = {
    "sample_intake": ("validate", "register", "reserve", "store"),
    "sample_submission": ("reserve",),
    "bulk_import": ("validate",),
    "storage_transfer": ("check",),
    "excursion_response": ("find",),
    "consent_withdrawal": ("find",),
    "sample_disposal": ("approve",),
}
"""Where recorded sagas were refused, so that what had been done was undone."""
COMPLETED = {
    "sample_intake": ("", "-partial", "-after-kill", "-after-deadline"),
    "excursion_response": ("-empty", "-released", "-discarded"),
}
"""In which ways recorded sagas completed, where there is more than one."""


def test_the_recorded_histories_end_as_they_are_called() -> None:
    """Completed, and compensated from a step that refused; also killed and kept waiting."""
    ends: dict[tuple[str, str], tuple[str, str | None]] = {}
    for path in HISTORIES:
        last = events(path)[-1]
        assert last["type"] == "transaction.ended"
        failure = last["data"]["failure"]
        ended = (last["data"]["status"], failure and failure["step"])
        ends[last["data"]["saga_type"], path.stem.rpartition(".")[2]] = ended
    refused = {
        (saga_type, f"refused-at-{step}"): (TransactionStatus.COMPENSATED, step)
        for saga_type, steps in REFUSED_AT.items()
        for step in steps
    }
    completed = {
        (saga_type, f"completed{how}"): (TransactionStatus.COMPLETED, None)
        for saga_type in REFUSED_AT
        for how in COMPLETED.get(saga_type, ("",))
    }
    assert ends == refused | completed


def test_a_step_that_met_its_deadline_was_asked_again() -> None:
    """The recorded wait shows as a postponed step, and a second attempt at the same command."""
    (path,) = [path for path in HISTORIES if path.stem == "completed-after-deadline"]
    reserve = [e for e in events(path) if e["data"].get("step") == "reserve"]
    asked = [e["data"] for e in reserve if e["type"] == "transaction.step_asked"]
    assert "transaction.step_postponed" in {e["type"] for e in reserve}
    assert [one["attempt"] for one in asked] == [1, 2]
    assert len({one["command_id"] for one in asked}) == 1
