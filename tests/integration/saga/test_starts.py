"""Commands that begin sagas of their own: once each, and where everyone stands who is asked."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import Field

import sagas.definitions
from contracts.errors import Refused
from contracts.message import Command
from contracts.notification import SendNotification, Template
from contracts.saga_tools import ServicesMissing
from contracts.transaction import SubmissionView, TransactionStatus
from infra.bus.connection import Connection
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.definition import PIVOT
from sagas.engine.writing import child, saga, seconds, step
from services.catalog import NAMES
from services.transaction import domain
from services.transaction.handlers.starts import starting
from tests.integration.saga.conductor import Conductor, conducting, participant
from tests.integration.saga.desk import SENDING, Participants, heads, said


class Tell(Command[SubmissionView], type="transaction.tell"):
    """Begin a saga that tells somebody something."""

    template: Template = Template.SUBMISSION_STORED
    values: dict[str, str] = Field(default_factory=dict[str, str])


class Odd(Command[None], type="transaction.odd"):
    """Begin a saga, and answer nothing."""

    template: Template = Template.SUBMISSION_STORED


# One step per line, so that a saga reads as a table.
# fmt: off
OLDER = saga("telling", version=1, starts_with=Tell)(
    step("tell", ask=SendNotification, kind=PIVOT, within=seconds(600)),
)
TELLING = saga("telling", version=2, starts_with=Tell)(
    step("tell", ask=SendNotification, undo=SendNotification, within=seconds(600)),
)
NESTED = saga("nested", version=1, starts_with=Tell)(
    child("inner", saga=SAMPLE_INTAKE),
    step("tell", ask=SendNotification, kind=PIVOT, within=seconds(600)),
)
ODD = saga("odd", version=1, starts_with=Odd)(
    step("tell", ask=SendNotification, kind=PIVOT, within=seconds(600)),
)
# fmt: on


@pytest.fixture
async def conductor(
    nats_url: str, provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on."""
    assert provisioned.connected
    monkeypatch.setattr(sagas.definitions, "ALL", (OLDER, TELLING))
    async with conducting(nats_url) as conductor:
        yield conductor


async def test_a_command_begins_a_saga_under_the_newest_version(
    conductor: Conductor, nats_url: str
) -> None:
    """Its answer names the transaction, which goes on by itself."""
    (handler,) = starting((TELLING, OLDER), NAMES, conductor.orchestrator)
    assert handler.message is Tell
    begun = await handler.call(Tell(), said())
    assert begun.repeated is False
    async with participant(nats_url, Participants().answer):
        state = await conductor.ended(begun.transaction_id)
    assert (state.version, state.actor) == (2, "grace")
    assert state.status is TransactionStatus.COMPLETED


async def test_the_same_command_begins_one_saga(conductor: Conductor) -> None:
    """Its repetition names the one that it began."""
    (handler,) = starting((TELLING,), NAMES, conductor.orchestrator)
    given = said()
    begun = await handler.call(Tell(), given)
    before = await heads(conductor)
    again = await handler.call(Tell(), given)
    assert again.transaction_id == begun.transaction_id
    assert await heads(conductor) == before


async def test_a_saga_whose_services_do_not_stand_does_not_begin(conductor: Conductor) -> None:
    """The refusal names them, and nothing is recorded."""
    (handler,) = starting((TELLING,), ["sample"], conductor.orchestrator)
    before = await heads(conductor)
    with pytest.raises(Refused, match="notification") as refused:
        await handler.call(Tell(), said())
    assert isinstance(refused.value.refusal, ServicesMissing)
    assert await heads(conductor) == before


def test_missing_are_all_whom_a_saga_and_its_children_ask() -> None:
    """Of the child too; who stands is not named."""
    assert domain.missing_services(NESTED, NAMES) == []
    assert domain.missing_services(NESTED, ["transaction", "sample"]) == [
        "notification",
        "storage",
        "template",
    ]


async def test_commands_to_others_and_manifests_begin_nothing_here(conductor: Conductor) -> None:
    """A manifest has its claims; a command of another service never comes here."""
    assert list(starting((SAMPLE_INTAKE, SENDING), NAMES, conductor.orchestrator)) == []


async def test_a_start_that_cannot_be_answered_is_found_when_the_service_is_built(
    conductor: Conductor,
) -> None:
    """Two sagas of one command, or a command whose answer is no submission."""
    with pytest.raises(ValueError, match="begins telling and nested"):
        starting((TELLING, NESTED), NAMES, conductor.orchestrator)
    with pytest.raises(ValueError, match="must be a SubmissionView"):
        starting((ODD,), NAMES, conductor.orchestrator)
