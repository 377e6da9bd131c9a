"""What holds in simulated worlds, and that the same seed always tells the same story."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from contracts.transaction import StepStatus
from sagas.engine.validate import validate
from tests.simulation.__main__ import main
from tests.simulation.definitions import ALL, LATER
from tests.simulation.dice import Dice, share
from tests.simulation.faults import Fault
from tests.simulation.run import build, simulate

SEEDS = Path(__file__).with_name("seeds.txt")
SAGAS = 160
FAULTS_SHRUNK_MAX = 2
NOT_IN_CATALOG = "no command of the catalog is"


def regressions() -> list[tuple[int, int]]:
    """Read the worlds in which something once did not hold, as seed and number."""
    lines = (line.partition("#")[0].split() for line in SEEDS.read_text("utf-8").splitlines())
    return [(int(words[0]), int(words[1])) for words in lines if words]


def hash_in_a_process(hash_seed: str) -> str:
    """Simulate in a process whose sets of texts have another order."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed=3", "--sagas=64", "--processes=1"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return done.stdout.partition("trace hash: ")[2].strip()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_saga_comes_to_an_end_that_fits_what_was_done(seed: int) -> None:
    """Crashes, losses, zombies and wrong clocks leave nothing open, doubled or half undone."""
    report = simulate(seed, SAGAS)
    assert report.broken == []
    assert report.sagas == SAGAS
    assert {"completed", "compensated", "cancelled"} <= set(report.ends)


def test_trouble_of_every_kind_strikes() -> None:
    """No fault is listed that never happens."""
    report = simulate(4, 2 * SAGAS)
    assert report.broken == []
    assert set(report.faults) == {str(fault) for fault in Fault}


@pytest.mark.parametrize(("seed", "number"), regressions())
def test_what_once_failed_holds(seed: int, number: int) -> None:
    """Worlds in which a bug was found stay worlds without one."""
    assert build(seed, number).run() is None


def test_the_same_seed_gives_the_same_trace() -> None:
    """Twice in one process, and in two processes whose hashes are seeded otherwise."""
    first = simulate(3, 64).trace_hash
    assert simulate(3, 64).trace_hash == first
    assert hash_in_a_process("0") == first
    assert hash_in_a_process("4711") == first


def test_another_seed_gives_another_trace() -> None:
    """The seed decides."""
    assert simulate(5, 16).trace_hash != simulate(6, 16).trace_hash


def test_the_number_of_processes_changes_nothing() -> None:
    """Worlds may run beside one another."""
    assert simulate(7, 640, processes=2).trace_hash == simulate(7, 640).trace_hash


def test_a_saga_left_out_changes_no_roll_of_another() -> None:
    """What chance says follows from names alone, so that failures can be made smaller."""
    dice = Dice(1, 2)
    before = dice.roll("s3 start")
    dice.roll("s4 start")
    assert dice.roll("s3 start") == before
    assert {share(before, number, 3) for number in range(64)} == {0, 1, 2}


def test_the_simulated_sagas_are_ones_that_could_be_released() -> None:
    """The validator finds no fault but that their commands are no service's."""
    faults = [fault for one in (*ALL, LATER) for fault in validate(one)]
    assert [str(fault) for fault in faults if NOT_IN_CATALOG not in str(fault)] == []


def test_the_command_tells_what_failed_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It prints the seed, shrinks to a few faults, shows the trace, and ends with 1."""
    monkeypatch.setattr("sagas.engine.ways.MAY_BE_DONE", frozenset[StepStatus]())
    command = Typer()
    command.command()(main)
    told = CliRunner().invoke(command, ["--seed=1", "--sagas=160", "--processes=1"])
    assert told.exit_code == 1
    assert "Again: ./dev simulate --seed 1 --sagas 160 --world" in told.output
    assert "The least that fails so" in told.output
    assert told.output.count("\nfault: ") <= FAULTS_SHRUNK_MAX


def test_the_command_says_that_everything_holds() -> None:
    """One world of a seed can be looked at on its own."""
    command = Typer()
    command.command()(main)
    told = CliRunner().invoke(command, ["--seed=1", "--sagas=160", "--world=0"])
    assert told.exit_code == 0
    assert "everything holds; trace hash: " in told.output
