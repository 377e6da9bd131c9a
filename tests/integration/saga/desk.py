"""Where people give orders to the sagas of tests: short ways to the handlers, over a real broker.

Participants do what they are asked, but for the steps that a test names. Nothing is checked here.
"""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from contracts import subjects
from contracts.errors import Refused
from contracts.message import Command
from contracts.notification import NotificationNotFound, NotificationView, SendNotification
from contracts.saga_orders import ForkTransaction, ForkView, OrderView, SignalTransaction
from contracts.types import NotificationId, TransactionId
from infra.bus.context import Context
from infra.ids import new_id
from sagas.engine.definition import PIVOT, RETRIABLE
from sagas.engine.writing import approval, saga, seconds, step
from services.transaction.handlers import forks, orders
from tests.integration.saga.conductor import Conductor, context

LATE = seconds(600)

# One step per line, so that a saga reads as a table.
# fmt: off
SENDING = saga("sending", version=1, starts_with=SendNotification)(
    step("hold", ask=SendNotification, undo=SendNotification, within=LATE),
    step("send", ask=SendNotification, kind=PIVOT,            within=LATE),
    step("bill", ask=SendNotification, kind=RETRIABLE,        within=LATE),
)
LONGER = saga("sending", version=2, starts_with=SendNotification)(
    step("hold", ask=SendNotification, undo=SendNotification, within=LATE),
    step("send", ask=SendNotification, kind=PIVOT,            within=LATE),
    step("bill", ask=SendNotification, kind=RETRIABLE,        within=LATE),
    step("file", ask=SendNotification, kind=RETRIABLE,        within=LATE),
)
OTHER = saga("sending", version=3, starts_with=SendNotification)(
    step("look", ask=SendNotification, undo=SendNotification, within=LATE),
    step("hold", ask=SendNotification, undo=SendNotification, within=LATE),
)
AGREEING = saga("agreeing", version=1, starts_with=SendNotification)(
    step("hold", ask=SendNotification, undo=SendNotification, within=LATE),
    approval("agree", needs=2, not_starter=True,              within=LATE),
    step("send", ask=SendNotification, kind=PIVOT,            within=LATE),
)
# fmt: on
ALL = (SENDING, LONGER, OTHER, AGREEING)


@dataclass
class Participants:
    """Whoever is asked: they answer, and refuse what a test says."""

    refuses: set[str] = field(default_factory=set[str])
    """Steps."""
    asked: list[str] = field(default_factory=list[str])
    """Steps, in the order in which they were asked."""

    async def answer(self, command: SendNotification, context: Context) -> NotificationView:
        """Do what is asked, or refuse it."""
        step_name = context.saga.step if context.saga is not None else ""
        self.asked.append(step_name)
        notification_id = NotificationId(context.derive("notification"))
        if step_name in self.refuses:
            raise Refused(NotificationNotFound(notification_id=notification_id))
        return NotificationView(
            notification_id=notification_id,
            template=command.template,
            title="title",
            message="message",
            deliveries=[],
            created_at=context.now,
            seq=1,
        )


def said(by: str = "grace", message_id: str = "") -> Context:
    """Say something now, as a message of its own."""
    return replace(context(message_id or str(new_id())), actor=by)


async def give(
    conductor: Conductor,
    order: type[Command[OrderView]],
    saga_id: UUID,
    given: Context | None = None,
    **fields: Any,  # noqa: ANN401 - the order's own
) -> OrderView:
    """Give an order."""
    command = order.model_validate(
        {"transaction_id": saga_id, "reason": "somebody said so", **fields}
    )
    return await orders.on_order(command, given or said(), orchestrator=conductor.orchestrator)  # type: ignore[arg-type] # it is one of the orders


async def signal(
    conductor: Conductor,
    saga_id: UUID,
    given: Context | None = None,
    **fields: Any,  # noqa: ANN401 - the signal's own
) -> OrderView:
    """Approve, unless the fields say otherwise."""
    plain = {"transaction_id": saga_id, "signal": "approval", "data": {"approved": True}}
    command = SignalTransaction.model_validate({**plain, **fields})
    return await orders.on_signal(command, given or said(), orchestrator=conductor.orchestrator)


async def fork(
    conductor: Conductor,
    saga_id: UUID,
    at: str,
    given: Context | None = None,
    **fields: Any,  # noqa: ANN401 - the fork's own
) -> ForkView:
    """Fork a saga."""
    command = ForkTransaction.model_validate(
        {"transaction_id": TransactionId(saga_id), "at": at, "reason": "once more", **fields}
    )
    return await forks.on_fork(command, given or said(), orchestrator=conductor.orchestrator)


async def heads(conductor: Conductor) -> list[int]:
    """Give the newest sequence of every log, and of what is asked: alike where nothing happened."""
    streams = [*map(subjects.saga_stream, range(subjects.SAGA_PARTITIONS)), subjects.COMMANDS]
    return [await conductor.connection.head(stream) for stream in streams]
