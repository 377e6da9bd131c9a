"""A saga as people and clients see it."""

from dataclasses import replace

from contracts.errors import NotFound
from contracts.transaction import StepStatus, TransactionStatus
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.record import read_commands, read_timers
from sagas.engine.view import timeline, view
from tests.sagas.chronicle import NOON, SAGA, Chronicle

REFUSED = NotFound(what="box", key="B01")


def test_a_view_shows_where_every_step_stands_and_what_it_answered() -> None:
    """Steps that have not begun are there too."""
    log = Chronicle(SAMPLE_INTAKE)
    log.run_to("reserve")
    shown = view(log.saga, seq=17, transitions=len(log.entries))
    assert (shown.transaction_id, shown.saga_type, shown.definition_version) == (
        SAGA,
        "sample_intake",
        1,
    )
    assert (shown.seq, shown.transitions, shown.actor) == (17, 3, "ada")
    assert [one.status for one in shown.steps] == [
        StepStatus.DONE,
        StepStatus.DONE,
        StepStatus.ASKED,
        StepStatus.WAITING,
        StepStatus.WAITING,
        StepStatus.WAITING,
    ]
    assert list(shown.result) == ["validate", "register"]
    assert shown.result["validate"]["accepted"] == 20
    assert shown.steps[0].asked_at == NOON
    assert shown.ended_at is None


def test_a_failed_transaction_says_why_as_problem_details() -> None:
    """The refusal of the step is the transaction's problem, with the step's name."""
    log = Chronicle(SAMPLE_INTAKE)
    log.begin()
    log.reply("validate", refusal=REFUSED)
    shown = view(log.saga, seq=2, transitions=2)
    problem = shown.to_problem()
    assert problem is not None
    assert (problem.code, problem.status) == ("request.not_found", 404)
    assert problem.detail == REFUSED.detail
    assert shown.steps[0].detail == REFUSED.detail


def test_a_timeline_shows_every_transition_with_the_status_it_led_to() -> None:
    """Events, commands and timers stand as they were recorded, and the trace by its id."""
    log = Chronicle(SAMPLE_INTAKE)
    log.run_to("reserve")
    log.reply("reserve", refusal=REFUSED)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    entries = [replace(log.entries[0], traceparent=trace), *log.entries[1:]]
    shown = timeline(entries)
    assert [one.number for one in shown] == [1, 2, 3, 4]
    assert [one.status for one in shown] == [
        TransactionStatus.RUNNING,
        TransactionStatus.RUNNING,
        TransactionStatus.RUNNING,
        TransactionStatus.COMPENSATING,
    ]
    assert shown[0].trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert shown[1].trace_id is None
    assert [event["type"] for event in shown[3].events] == [
        "transaction.step_answered",
        "transaction.step_ended",
        "transaction.compensating",
        "transaction.step_asked",
    ]
    assert shown[3].commands[0]["type"] == "sample.withdraw_many"
    assert shown[3].hash == log.entries[3].hash


def test_recorded_effects_can_be_sent_again() -> None:
    """A service that died after the append reads from the log what it has to publish."""
    log = Chronicle(SAMPLE_INTAKE)
    outcome = log.begin()
    effects = log.entries[0].effects
    assert read_commands(effects) == getattr(outcome, "commands", None)
    assert read_timers(effects) == getattr(outcome, "timers", None)
