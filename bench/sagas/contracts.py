"""The messages of the bench's own saga, and the saga: five steps of two participants.

Importing this module makes them known to this process. It comes before `infra`, which declares a
consumer for each owner of commands; the laboratory itself never sees them.
"""

from typing import Any, Final

from contracts import catalog
from contracts.message import Command
from contracts.transaction import SubmissionView
from contracts.types import View
from sagas.engine.definition import Definition
from sagas.engine.validate import checked
from sagas.engine.writing import saga, seconds, step

TRANSACTION = "transaction"
PARTICIPANTS: Final = ("bench_left", "bench_right")


class Done(View):
    """What a step answers: a small document."""

    saga: int
    step: int


class _Step(Command[Done]):
    """What every step is told."""

    saga: int


class First(_Step, type="bench_left.first"):
    """Step 1."""


class Second(_Step, type="bench_right.second"):
    """Step 2."""


class Third(_Step, type="bench_left.third"):
    """Step 3."""


class Fourth(_Step, type="bench_right.fourth"):
    """Step 4."""


class Fifth(_Step, type="bench_left.fifth"):
    """Step 5."""


class UndoLeft(_Step, type="bench_left.undo"):
    """Undo any step of the left one."""


class UndoRight(_Step, type="bench_right.undo"):
    """Undo any step of the right one."""


class Begin(Command[SubmissionView], type="transaction.begin_bench"):
    """Begin the saga."""

    saga: int


COMMANDS: Final[tuple[type[Command[Any]], ...]] = (
    *(First, Second, Third, Fourth, Fifth),
    *(UndoLeft, UndoRight, Begin),
)
for message in COMMANDS:
    catalog.MESSAGES[message.contract.type] = message
    catalog.COMMANDS[message.contract.type] = message

# fmt: off
FIVE_STEPS: Final[Definition] = checked(saga("bench_five", version=1, starts_with=Begin)(
    step("first",  ask=First,  undo=UndoLeft,  within=seconds(60)),
    step("second", ask=Second, undo=UndoRight, within=seconds(60)),
    step("third",  ask=Third,  undo=UndoLeft,  within=seconds(60)),
    step("fourth", ask=Fourth, undo=UndoRight, within=seconds(60)),
    step("fifth",  ask=Fifth,  undo=UndoLeft,  within=seconds(60)),
))
# fmt: on
