"""What a definition is: data with a name of its own."""

import pickle
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.storage import ConfirmPositions, ReservePositions
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.definition import RETRIABLE, Retry, Step
from sagas.engine.mapping import SAGA_ID, Const, FirstOf, out, start, text
from sagas.engine.writing import RETRIABLE_WITHIN, saga, seconds, step
from tests.sagas.chronicle import Chronicle

INTAKE_HASH = "6c75d03aefdf36cbf75d44d32c3f56a4bd82b6e29042088353151d81b8473f2b"


def hash_with(**changed: object) -> str:
    """Hash the intake's table with its third line changed."""
    lines = list(SAMPLE_INTAKE.steps)
    lines[2] = replace(lines[2], **changed)  # type: ignore[arg-type] # any field of a line
    return saga("sample_intake", version=1, starts_with=SAMPLE_INTAKE.starts_with)(*lines).hash


def test_the_same_table_always_has_the_same_hash() -> None:
    """Open sagas are pinned to it: this value changes only together with the version."""
    assert SAMPLE_INTAKE.hash == INTAKE_HASH
    assert hash_with() == INTAKE_HASH


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "hold"},
        {"within": seconds(61)},
        {"retry": Retry(4)},
        {"retry": Retry(3, backoff_seconds=2)},
        {"undo_retry": Retry(4)},
        {"ask": ConfirmPositions},
        {"undo": ConfirmPositions},
        {"undo": None},
        {"kind": RETRIABLE},
        {"optional": True},
        {"given": {"hold_seconds": 60}},
        {"given": {"hold_seconds": start("file.size_bytes")}},
        {"given": {"rows": start("file")}},
        {"undo_given": {"submission_id": SAGA_ID}},
    ],
    ids=str,
)
def test_every_change_of_what_a_line_does_changes_the_hash(changed: dict[str, object]) -> None:
    """Whatever decides how a saga goes is part of the hash."""
    assert hash_with(**changed) != SAMPLE_INTAKE.hash


def test_a_line_that_moved_in_its_file_keeps_the_hash() -> None:
    """Where a line stands is for reports only."""
    moved = replace(SAMPLE_INTAKE.steps[2].place, line=999)
    assert hash_with(place=moved) == SAMPLE_INTAKE.hash


def test_fields_are_filled_from_the_newest_answer_that_has_them() -> None:
    """The pivot takes the submission's id from the reservation, the step before."""
    assert SAMPLE_INTAKE.by_name["store"].ask_fills == {
        "submission_id": out("reserve.submission_id")
    }


def test_an_undo_prefers_the_answer_of_its_own_step() -> None:
    """Where that step was never answered, the newest answer before it takes its place."""
    fills = SAMPLE_INTAKE.by_name["reserve"].undo_fills
    assert fills["submission_id"] == FirstOf(
        (out("reserve.submission_id"), out("register.submission_id"))
    )


def test_a_field_that_nothing_fills_keeps_its_default() -> None:
    """The positions are held for as long as storage says."""
    assert "hold_seconds" not in SAMPLE_INTAKE.by_name["reserve"].ask_fills
    given: Step = step("hold", ask=ReservePositions, given={"hold_seconds": 60})
    definition = saga("x", version=1, starts_with=SAMPLE_INTAKE.starts_with)(given)
    assert definition.steps[0].ask_fills["hold_seconds"] == Const(60)


def test_the_pauses_of_a_retry_double_up_to_their_bound() -> None:
    """Attempt 7 would wait 64 s and waits 60; attempt 1000 does not overflow."""
    retry = Retry(1_000, jitter=0)
    pauses = [retry.pause(n, "salt").total_seconds() for n in (1, 2, 3, 7, 1_000)]
    assert pauses == [1, 2, 4, 60, 60]


def test_what_failed_together_comes_apart() -> None:
    """Pauses differ by chance within their jitter, and the same salt gives the same pause."""
    retry = Retry(3, backoff_seconds=10, jitter=0.2)
    pauses = [retry.pause(1, str(n)).total_seconds() for n in range(200)]
    assert all(8 <= pause <= 12 for pause in pauses)
    assert min(pauses) < 8.5
    assert max(pauses) > 11.5
    assert retry.pause(1, "7") == retry.pause(1, "7")


def test_only_a_retriable_step_has_a_deadline_of_itself() -> None:
    """Every other one must say how long it may take, or the validator refuses it."""
    assert SAMPLE_INTAKE.by_name["mark"].within == RETRIABLE_WITHIN
    assert step("x", ask=ReservePositions).within == timedelta(0)


def test_a_text_counts_its_blanks() -> None:
    """Doubled braces are no blanks."""
    assert text("{} of {{}} {}", SAGA_ID, SAGA_ID).blanks == 2


def test_a_definition_that_was_used_can_be_sent_to_another_process() -> None:
    """What was made of its lines for speed stays behind, and is made anew there."""
    Chronicle(SAMPLE_INTAKE).begin()
    there = pickle.loads(pickle.dumps(SAMPLE_INTAKE))  # noqa: S301 - our own bytes
    assert there == SAMPLE_INTAKE
    log = Chronicle(there)
    log.begin()
    assert log.saga.steps["validate"].command_id is not None
