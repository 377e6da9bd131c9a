"""Recorded histories through today's definitions."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts.entry import Entry, hash_of
from contracts.errors import NotFound
from contracts.storage import ConfirmPositions
from sagas.definitions import SAMPLE_INTAKE
from sagas.definitions.sample_intake import STORED
from sagas.engine.definition import PIVOT, Definition, Retry
from sagas.engine.mapping import out
from sagas.engine.writing import saga, seconds, step
from sagas.replay.replay import replay
from tests.sagas.chronicle import Chronicle

REFUSED = NotFound(what="box", key="B01")
LINES = {one.name: one.place.line for one in SAMPLE_INTAKE.steps}


def recorded(*, refused: str | None = None) -> dict[str, Any]:
    """Record a saga that completes, or whose named step is refused."""
    log = Chronicle(SAMPLE_INTAKE)
    log.begin()
    while not log.saga.status.ended:
        (awaited,) = [name for name, stands in log.saga.steps.items() if stands.command_id]
        undoing = log.saga.steps[awaited].undone_by
        log.reply(awaited, refusal=REFUSED if awaited == refused and not undoing else None)
    return log.export()


HISTORIES = [recorded(), *(recorded(refused=one.name) for one in SAMPLE_INTAKE.steps)]


def today(name: str, **changes: object) -> Callable[[str, int], Definition]:
    """Give the intake's table with one line changed."""
    lines = [
        replace(one, **changes) if one.name == name else one  # type: ignore[arg-type] # any field
        for one in SAMPLE_INTAKE.steps
    ]
    opened = saga("sample_intake", version=1, starts_with=SAMPLE_INTAKE.starts_with)
    definition = opened(*lines)
    return lambda _type, _version: definition


def test_histories_of_an_unchanged_definition_come_out_as_recorded() -> None:
    """Seven histories, no divergence; the caller's measurement gives the rate."""
    report = replay(HISTORIES)
    assert report.ok
    assert report.histories == 7
    assert report.transitions == sum(len(one["entries"]) for one in HISTORIES)
    assert report.to_json(elapsed_seconds=0.5)["per_second"] == 14


@pytest.mark.parametrize(
    ("name", "changes", "differing"),
    [
        ("store", {"within": seconds(61)}, "timers"),
        ("mark", {"ask": ConfirmPositions}, "commands"),
        ("notify", {"given": {**STORED, "emails": out("validate.zones")}}, "commands"),
    ],
)
def test_a_change_is_reported_at_the_line_that_changed(
    name: str, changes: dict[str, object], differing: str
) -> None:
    """The report names the first transition that differs, both versions, and the step's line."""
    report = replay(HISTORIES[:1], find=today(name, **changes))
    (divergence,) = report.diverged
    assert divergence.seq == list(LINES).index(name) + 1
    assert divergence.expected[differing] != divergence.produced[differing]
    document = report.to_json()["diverged"][0]
    assert document["definition"] == {
        "file": "sagas/definitions/sample_intake.py",
        "line": LINES[name],
    }


def test_a_step_that_became_optional_diverges_where_it_was_refused() -> None:
    """The recorded saga failed; today's would complete, and the states tell so."""
    find = today("mark", optional=True)
    assert replay(HISTORIES[:1], find=find).ok
    refused = recorded(refused="mark")
    (divergence,) = replay([refused], find=find).diverged
    differing = {one["path"]: one for one in divergence.state_diff}
    assert differing["status"]["expected"] == "failed"
    assert differing["status"]["produced"] == "running"
    assert differing["steps.mark.status"]["produced"] == "skipped"


def test_a_step_that_is_gone_diverges() -> None:
    """The plan of the saga is recorded when it starts."""
    lines = [one for one in SAMPLE_INTAKE.steps if one.name != "notify"]
    shorter = saga("sample_intake", version=1, starts_with=SAMPLE_INTAKE.starts_with)(*lines)
    (divergence,) = replay(HISTORIES[:1], find=lambda _type, _version: shorter).diverged
    assert divergence.seq == 1


def test_a_changed_bound_that_no_history_met_is_no_divergence() -> None:
    """Only behaviour is compared, never the hash of the table."""
    assert replay(HISTORIES, find=today("reserve", retry=Retry(7))).ok


def reworded(history: dict[str, Any]) -> dict[str, Any]:
    """Record the same history with other words for people, its chain intact."""
    bodies: list[str] = []
    previous = ""
    for one in history["entries"]:
        document = json.loads(one["body"])
        document["prev_hash"] = previous
        for event in document["events"]:
            if event["type"] == "transaction.step_ended" and event["data"]["detail"]:
                event["data"]["detail"] = "other words"
        body = json.dumps(document, separators=(",", ":"))
        previous = hash_of(body.encode())
        bodies.append(body)
    entries = [{"seq": number, "body": body} for number, body in enumerate(bodies, start=1)]
    return {"transaction_id": history["transaction_id"], "entries": entries}


def test_other_words_for_people_are_no_divergence() -> None:
    """A message may be improved without a new version of the saga."""
    history = reworded(recorded(refused="store"))
    assert "other words" in str(history)
    assert replay([history]).ok


def test_a_history_that_was_tampered_with_is_not_replayed() -> None:
    """One changed byte breaks the chain, and the report says at which entry."""
    history = recorded()
    entry = history["entries"][2]
    entry["body"] = entry["body"].replace('"ada"', '"eve"')
    report = replay([history, recorded()])
    assert [one.problem for one in report.unreplayable] == [
        "entry 4 does not follow the entry before it"
    ]
    assert not report.ok
    assert report.histories == 2


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ({"transaction_id": "x", "entries": []}, "has no entries"),
        ({"transaction_id": "x", "entries": [1]}, "not subscriptable"),
        ({"transaction_id": "x", "entries": [{"seq": 1, "body": "{"}]}, "entry 1 cannot be read"),
        ({"transaction_id": "x"}, "a part of the export is missing: 'entries'"),
    ],
)
def test_an_export_that_cannot_be_read_is_reported(history: dict[str, Any], problem: str) -> None:
    """It stands among the unreplayable ones with what is wrong."""
    (found,) = replay([history]).unreplayable
    assert problem in found.problem


def test_an_unknown_version_is_reported() -> None:
    """A history whose definition is gone is not skipped in silence."""
    log = Chronicle(
        saga("sample_intake", version=9, starts_with=SAMPLE_INTAKE.starts_with)(
            step("store", ask=ConfirmPositions, kind=PIVOT, within=seconds(1))
        )
    )
    log.begin()
    (found,) = replay([log.export()]).unreplayable
    assert "no saga is sample_intake version 9" in found.problem


def test_an_entry_of_another_log_is_reported() -> None:
    """A log that is no saga's has no inputs to replay."""
    log = Chronicle(SAMPLE_INTAKE)
    log.begin()
    first: Entry = log.entries[0]
    stripped = replace(first, effects={"definition": first.effects["definition"]}).to_bytes()
    history = {"transaction_id": "x", "entries": [{"seq": 1, "body": stripped.decode()}]}
    (found,) = replay([history]).unreplayable
    assert "none of start, replied, due" in found.problem
