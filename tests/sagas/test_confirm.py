"""The quick yes of replay: only where every byte is the same, and then always."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.entry import hash_of
from sagas.definitions import SAMPLE_INTAKE, find
from sagas.replay.confirm import confirmed
from sagas.replay.replay import replay
from tests.sagas.chronicle import Chronicle
from tests.sagas.test_histories import HISTORIES, read

Json = dict[str, Any]


@pytest.mark.parametrize("path", HISTORIES, ids=[path.stem for path in HISTORIES])
def test_a_recorded_history_is_confirmed_at_once(path: Path) -> None:
    """Of real histories none takes the long way, whoever had their partitions."""
    history = read(path)
    assert confirmed(history, find) == len(history["entries"])


def completed() -> Json:
    """Record an intake that completes."""
    log = Chronicle(SAMPLE_INTAKE)
    log.begin()
    for step in SAMPLE_INTAKE.steps:
        log.reply(step.name)
    return log.export()


def chained(history: Json, change: Callable[[int, Json], None]) -> Json:
    """Change a history's entries, each told with its number, and chain them anew."""
    head, entries = "", list[Json]()
    for number, one in enumerate(history["entries"], 1):
        document = json.loads(one["body"])
        change(number, document)
        document["prev_hash"] = head
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        head = hash_of(body.encode())
        entries.append(one | {"body": body})
    return history | {"entries": entries}


def reword(number: int, entry: Json) -> None:
    """Give the reason of a step another wording."""
    if number == 2:
        entry["events"][1]["data"]["detail"] = "said otherwise"


def leave_out(_number: int, entry: Json) -> None:
    """Write as code did that did not know of probes yet."""
    for event in entry["events"]:
        event["data"].pop("probe", None)


def tell_more(_number: int, entry: Json) -> None:
    """Write as code may that knows more."""
    entry["events"][0]["data"]["colour"] = "blue"


@pytest.mark.parametrize("change", [reword, leave_out, tell_more])
def test_what_is_the_same_in_other_bytes_is_left_to_the_careful_comparison(
    change: Callable[[int, Json], None],
) -> None:
    """Other words, and fields that come and go, are no difference; nor are they the same bytes."""
    history = chained(completed(), change)
    assert confirmed(history, find) is None
    assert replay([history]).ok


def ask_otherwise(number: int, entry: Json) -> None:
    """Ask something else than what was asked."""
    if number == 3:
        entry["effects"]["commands"][0]["data"]["surplus"] = 1


def answer_too_much(number: int, entry: Json) -> None:
    """Claim an answer to the step of another saga."""
    if number == 3:
        entry["effects"]["replies"] = [
            {
                "parent": {
                    "transaction_id": "018f0000-0000-7000-8000-000000000000",
                    "saga_type": "parent",
                    "step": "child",
                    "command_id": "018f0000-0000-7000-8000-000000000001",
                },
                "command_id": "018f0000-0000-7000-8000-000000000001",
                "result": {},
                "refusal": None,
            }
        ]


def arm_nothing(number: int, entry: Json) -> None:
    """Arm no timer."""
    if number == 3:
        entry["effects"]["timers"] = []


@pytest.mark.parametrize("change", [ask_otherwise, answer_too_much, arm_nothing])
def test_effects_that_are_not_what_is_decided_are_never_confirmed(
    change: Callable[[int, Json], None],
) -> None:
    """Each is a divergence of the third transition."""
    history = chained(completed(), change)
    assert confirmed(history, find) is None
    (divergence,) = replay([history]).diverged
    assert divergence.seq == 3


def test_effects_that_nobody_decides_are_no_matter() -> None:
    """Who had the saga's partition stands in the entry, and is not compared."""

    def own(_number: int, entry: Json) -> None:
        entry["effects"]["epoch"] = 7

    history = chained(completed(), own)
    assert confirmed(history, find) == len(history["entries"])


SPOILT: dict[str, Callable[[str], str]] = {
    "cut": lambda body: body[:-1],
    "lengthened": lambda body: f"{body} ",
    "no number": lambda body: body.replace('"number":', '"nummer":'),
    "another actor": lambda body: body.replace('"actor":"', '"actor":"m', 1),
    "no JSON": lambda body: body.replace('"attempt":1', '"attempt":NaN'),
    "unknown event": lambda body: body.replace("transaction.step_asked", "transaction.step_begged"),
    "no object": lambda _body: "[]",
    "half a character": lambda _body: "\ud800",
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_was_edited_is_never_confirmed(spoil: Callable[[str], str]) -> None:
    """Whatever is done to an entry, it is not confirmed, and told as what it is."""
    history = completed()
    first = history["entries"][0]
    first["body"] = spoil(first["body"])
    assert confirmed(history, find) is None
    assert replay([history]).unreplayable


def test_a_history_without_entries_is_not_confirmed() -> None:
    """Nothing was decided, so nothing came out the same."""
    assert confirmed({"transaction_id": "x", "entries": []}, find) is None
    assert confirmed({"transaction_id": "x"}, find) is None
