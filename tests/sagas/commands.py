"""Commands of no service, for sagas of every kind of step; `listed` makes them known."""

from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from contracts import catalog
from contracts.message import Command
from contracts.transaction import SubmissionView
from contracts.types import TransactionId, View


class Nothing(View):
    """An answer that says nothing."""


class Reviewed(View):
    """What `Review` answers."""

    lot: str
    decision: Literal["release", "discard"]
    reviewers: list[str]
    volume_ul: Decimal
    remark: str | None = None


class Probed(View):
    """What became of a step."""

    done: bool
    result: dict[str, Any] = Field(default_factory=dict[str, Any])


class Half(View):
    """An answer that lacks what a probe must say."""

    done: bool


class Odd(View):
    """An answer that says it in words."""

    done: str
    result: dict[str, Any]


class Begin(Command[SubmissionView], type="trial.begin"):
    """Begin a saga."""

    lot: str = "L1"
    risky: bool = False
    people: list[str] = Field(default_factory=list[str])
    amount: Annotated[int, Field(ge=0)] = 0


class Review(Command[Reviewed], type="trial.review"):
    """Look at something."""

    transaction_id: TransactionId


class Do(Command[Nothing], type="trial.do"):
    """Do something."""

    transaction_id: TransactionId


class Undo(Command[Nothing], type="trial.undo"):
    """Undo what was done."""

    transaction_id: TransactionId


class Label(Command[Nothing], type="trial.label"):
    """Write the lot, the decision and a hint on something."""

    lot: str
    decision: str
    hint: str = ""


class Ask(Command[Probed], type="trial.ask"):
    """Say what became of `Do`."""

    transaction_id: TransactionId


class AskHalf(Command[Half], type="trial.ask_half"):
    """Say too little."""

    transaction_id: TransactionId


class AskOdd(Command[Odd], type="trial.ask_odd"):
    """Say it in words."""

    transaction_id: TransactionId


class AskLot(Command[Probed], type="trial.ask_lot"):
    """Say what became of a box."""

    box: str


COMMANDS: Final[tuple[type[Command[Any]], ...]] = (
    *(Begin, Review, Do, Undo),
    *(Label, Ask, AskHalf, AskOdd, AskLot),
)


@contextmanager
def listed() -> Generator[None]:
    """Make these commands known, as if a contract module held them."""
    for command in COMMANDS:
        catalog.COMMANDS[command.contract.type] = command
    try:
        yield
    finally:
        for command in COMMANDS:
            del catalog.COMMANDS[command.contract.type]
