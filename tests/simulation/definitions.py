"""The sagas that are simulated: small, and between them everything that a definition can say."""

from typing import Final

from contracts.message import Command
from contracts.types import Name, TransactionId, Value, View
from sagas.engine.conditions import equals
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry
from sagas.engine.mapping import out
from sagas.engine.writing import approval, child, parallel, saga, seconds, step, wait


class Receipt(View):
    """What a participant gives for what it did: its undo asks for it."""

    receipt: str


class Found(View):
    """What a participant says became of a step."""

    done: bool
    result: Receipt | None = None


class Verdict(Value):
    """What one of the sagas waits to be told."""

    good: bool


class Begin(Command[Receipt], type="simulation.begin"):
    """Begin a saga of one of the types below."""

    saga_type: Name


class Do(Command[Receipt], type="simulation.do"):
    """Do a step."""

    transaction_id: TransactionId


class Undo(Command[Receipt], type="simulation.undo"):
    """Undo a step, and whatever it may yet do; without a receipt where none came."""

    transaction_id: TransactionId
    receipt: str | None = None


class Probe(Command[Found], type="simulation.probe"):
    """Say what became of a step."""

    transaction_id: TransactionId


FEW: Final = Retry(3, backoff_seconds=1)
MANY: Final = Retry(20, backoff_seconds=1)
ONCE: Final = Retry(1)
TWICE: Final = Retry(2, backoff_seconds=1)
SHORT: Final = seconds(10)

# One step per line, so that the sagas read as tables.
# fmt: off
THREE = saga("three", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=MANY),
)
FIVE = saga("five", version=1, starts_with=Begin)(
    step("look",  ask=Do, kind=QUERY,     within=SHORT, retry=FEW),
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=MANY),
    step("tell",  ask=Do, kind=RETRIABLE, within=SHORT, retry=MANY),
)
FOUR = saga("four", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=MANY),
    step("mark",  ask=Do, kind=RETRIABLE, within=SHORT, retry=MANY),
    step("tell",  ask=Do, kind=RETRIABLE, within=SHORT, retry=TWICE, optional=True),
)
FAN = saga("fan", version=1, starts_with=Begin)(
    parallel(
        step("look",  ask=Do, kind=QUERY,     within=SHORT, retry=TWICE),
        step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
        step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    ),
    step("close",     ask=Do, kind=PIVOT,     within=SHORT, retry=TWICE),
    parallel(
        step("mark",  ask=Do, kind=RETRIABLE, within=SHORT, retry=TWICE),
        step("tell",  ask=Do, kind=RETRIABLE, within=SHORT, retry=TWICE),
    ),
)
ASKING = saga("asking", version=1, starts_with=Begin)(
    step("take",     ask=Do, undo=Undo,                   within=SHORT, retry=FEW),
    approval("sign", needs=2, not_starter=True,           within=seconds(90)),
    wait("judge",    signal="verdict", data=Verdict,      within=seconds(90)),
    step("hold",     ask=Do, undo=Undo,                   within=SHORT, retry=FEW, when=equals(out("judge.good"), value=True)),  # noqa: E501 - one line per step
    step("close",    ask=Do, kind=PIVOT,                  within=SHORT, retry=MANY),
)
HURRIED = saga("hurried", version=1, starts_with=Begin, within=seconds(40))(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=FEW),
    step("tell",  ask=Do, kind=RETRIABLE, within=SHORT, retry=FEW),
)
UNSURE = saga("unsure", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=FEW, idempotent=False, probe=Probe),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=ONCE, idempotent=False),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=FEW, probe=Probe),
)
SMALL = saga("small", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
)
LATER = saga("later", version=1, starts_with=Begin)(
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=MANY),
    step("tell",  ask=Do, kind=RETRIABLE, within=SHORT, retry=MANY),
)
PARENT = saga("parent", version=1, starts_with=Begin)(
    step("take",   ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    child("small", saga=SMALL,             within=seconds(120), given={"saga_type": "small"}),
    step("hold",   ask=Do, undo=Undo,      within=SHORT, retry=FEW),
    child("later", saga=LATER,             within=seconds(600), retry=FEW, given={"saga_type": "later"}),  # noqa: E501 - one line per step
)
# fmt: on

PLAIN: Final = (THREE, FIVE, FOUR)
"""Steps one after the other, and nothing else."""
ALL: Final = (*PLAIN, FAN, ASKING, HURRIED, UNSURE, PARENT, SMALL)


def by_type(*definitions: Definition) -> dict[str, Definition]:
    """Index definitions by their type."""
    return {one.saga_type: one for one in (*definitions, SMALL, LATER)}
