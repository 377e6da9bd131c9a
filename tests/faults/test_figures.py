"""What a run of kills came to is counted right: what is lost or doubled shows, and how late."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.transaction import TransactionStatus
from tests.faults.figures import harm_of, resumed
from tests.faults.kills import Kill, Outcome, victims
from tests.fixtures.ledger import Ledger, Saga
from tests.fixtures.system import NATS, STORE

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
SAGA, SAMPLE, BOX = UUID(int=1), UUID(int=2), UUID(int=3)
EXPECTED = {"a.csv": ["T-1"]}


def after(seconds: float) -> datetime:
    """Give a time after the start."""
    return START + timedelta(seconds=seconds)


def stored_once() -> Ledger:
    """Give the ledger of one manifest with one tube."""
    ledger = Ledger(stored={SAMPLE}, claims={"T-1": SAMPLE}, occupied={(BOX, "A1"): SAMPLE})
    moved = [after(0), after(1), after(4)]
    ledger.sagas[SAGA] = Saga(SAGA, "a.csv", moved, ended=True, status=TransactionStatus.COMPLETED)
    ledger.registered[SAGA] = {SAMPLE: "T-1"}
    ledger.told = Counter([f"{SAGA} is stored"])
    return ledger


def outcome(ledger: Ledger, *kills: Kill) -> Outcome:
    """Say what was done and found."""
    return Outcome(list(kills), EXPECTED, 0, ledger)


def test_what_is_as_it_should_be_is_no_harm() -> None:
    """One manifest, one saga, one tube, one word."""
    assert harm_of(outcome(stored_once())).none


def test_a_sample_that_is_not_stored_is_lost() -> None:
    """It was registered, and never came to rest."""
    ledger = stored_once()
    ledger.stored.clear()
    assert harm_of(outcome(ledger)).lost == 1


def test_a_submission_without_a_saga_is_lost() -> None:
    """Nothing is known of it, nor of its tube."""
    assert harm_of(outcome(Ledger())).lost == 2


def test_a_sample_that_was_registered_twice_is_doubled() -> None:
    """The same barcode in two samples."""
    ledger = stored_once()
    ledger.registered[SAGA][UUID(int=9)] = "T-1"
    assert harm_of(outcome(ledger)).doubled == 1


def test_what_was_told_twice_is_doubled() -> None:
    """The same news of one submission."""
    ledger = stored_once()
    ledger.told[f"{SAGA} is stored"] += 1
    assert harm_of(outcome(ledger)).doubled == 1


def test_a_saga_that_did_not_end_is_harm() -> None:
    """It is counted."""
    ledger = stored_once()
    ledger.sagas[SAGA].ended = False
    found = harm_of(outcome(ledger))
    assert found.unended == 1
    assert not found.none


def test_work_goes_on_when_a_saga_that_was_under_way_moves() -> None:
    """From the kill to the next transition that was stored, not to the process's return."""
    kill = Kill("transaction", after(2), after(3))
    (found,) = resumed(outcome(stored_once(), kill))
    assert found.kind == "orchestrator"
    assert [times.maximum for times in (found.ready, found.first, found.every) if times] == [
        1.0,
        2.0,
        2.0,
    ]


def test_every_kind_of_process_is_killed_about_equally_often() -> None:
    """Orchestrator, broker and store as often as all participants together."""
    names = [NATS, STORE, "transaction", "sample", "storage", "template"]
    chosen = Counter(victims(names, random.Random(1), 40))  # noqa: S311 - repeatable
    assert chosen[NATS] == chosen[STORE] == chosen["transaction"] == 10
    assert min(chosen[name] for name in ("sample", "storage", "template")) >= 3
