"""The people of a simulated world: they approve, judge, pause, cancel, meddle, and mend.

They look at every saga from time to time. What they order is a message like any other, which can be
lost or come twice. Only once trouble is over, and nothing is under way any more, do they look at
what really stands done and put a failed saga right; some they leave as they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from sagas.engine.definition import Definition, StepKind
from sagas.engine.state import SagaState
from tests.simulation.broker import Broker, Message
from tests.simulation.dice import Dice, Roll, share
from tests.simulation.faults import ON_SAGA, Fault, Faults
from tests.simulation.messages import order_message, signal_message
from tests.simulation.participants import Bench

WHO: Final = ("ben", "cleo", "ada")
"""Ada began every saga, so that some may not be approved by her."""
MEDDLING: Final = (
    OrderKind.SKIP,
    OrderKind.COMPENSATE,
    OrderKind.RESUME,
    OrderKind.PAUSE,
    OrderKind.RETRY,
)
MENDS_MAX: Final = 5
"""Orders to a failed saga, before it is left as it is."""


@dataclass(slots=True)
class People:
    """Everybody who tells sagas something."""

    broker: Broker
    dice: Dice
    faults: Faults
    bench: Bench
    labels: dict[UUID, str]
    definitions: Mapping[str, Definition]
    """By saga type."""
    looks: int = 0
    mended: dict[UUID, int] = field(default_factory=dict[UUID, int])

    def look(self, *, quiet: bool) -> bool:
        """Look at every saga; with `quiet`, mend what failed. Say whether anything was mended."""
        self.looks += 1
        before = sum(self.mended.values())
        for saga_id, log in list(self.broker.logs.items()):
            state = log[-1].state
            name = f"{self.labels[saga_id]}, look {self.looks}"
            roll = self.dice.roll(name)
            messages = self._mend(state, name, roll) if quiet else self._tell(state, name, roll)
            for message in messages:
                self.broker.kernel.say("people", message.label)
                self.broker.publish(message)
        return sum(self.mended.values()) > before

    def disturb(self, saga_id: UUID) -> None:
        """Give a saga an order while it is busy, where that is this world's trouble."""
        log = self.broker.logs.get(saga_id)
        if not log:
            return
        name = f"{self.labels[saga_id]}, busy"
        for message in self._orders(log[-1].state, name, self.dice.roll(name)):
            self.broker.kernel.say("people", message.label)
            self.broker.publish(message)

    def _tell(self, state: SagaState, name: str, roll: Roll) -> Iterator[Message]:
        """Say what a saga waits for, let it go on, or disturb it."""
        if state.status is TransactionStatus.PAUSED and share(roll, 1, 2):
            yield self._order(state, OrderKind.RESUME, name)
        if not state.status.ended:
            yield from self._signals(state, name, roll)
        yield from self._orders(state, name, roll)

    def _orders(self, state: SagaState, name: str, roll: Roll) -> Iterator[Message]:
        match self.faults.pick(name, ON_SAGA, roll[0]):
            case Fault.PAUSED:
                yield self._order(state, OrderKind.PAUSE, name)
            case Fault.CANCELLED:
                yield self._order(state, OrderKind.CANCEL, name)
            case Fault.MEDDLED:
                order = MEDDLING[share(roll, 5, len(MEDDLING))]
                if self._may_meddle(state, order):
                    yield self._order(state, order, name)
            case _:
                pass

    def _may_meddle(self, state: SagaState, order: OrderKind) -> bool:
        """Leave out orders with which a person vouches for what nobody knows yet."""
        if order is OrderKind.COMPENSATE:
            return self.definitions[state.saga_type].pivot is None
        return True

    def _signals(self, state: SagaState, name: str, roll: Roll) -> Iterator[Message]:
        for step in state.steps.values():
            if step.status is not StepStatus.AWAITING or share(roll, 2, 3) == 0:
                continue
            by = WHO[share(roll, 3, len(WHO))]
            yes = share(roll, 4, 8) > 0
            data: dict[str, Any] = {"good": yes} if step.signal == "verdict" else {"approved": yes}
            signal = step.signal or ""
            label = f"{name}: {by} sends {signal}"
            yield signal_message(state.saga_id, signal, data, by=by, label=label)

    def _order(
        self, state: SagaState, order: OrderKind, name: str, step: str | None = None
    ) -> Message:
        of = f" {step}" if step else ""
        return order_message(state.saga_id, order, step, f"{name}: {order}{of}")

    # Mending

    def _mend(self, state: SagaState, name: str, roll: Roll) -> Iterator[Message]:
        if state.status is TransactionStatus.PAUSED:
            yield self._order(state, OrderKind.RESUME, name)
        yield from self._signals(state, name, roll)
        tries = self.mended.get(state.saga_id, 0)
        if state.status is not TransactionStatus.FAILED or tries >= MENDS_MAX:
            return
        self.mended[state.saga_id] = tries + 1
        stuck = [n for n, s in state.steps.items() if s.status is StepStatus.STUCK]
        if stuck and share(roll, 1, 4):
            step = stuck[share(roll, 2, len(stuck))]
            yield self._order(state, self._remedy(state, step, roll), name, step)

    def _remedy(self, state: SagaState, name: str, roll: Roll) -> OrderKind:
        """Choose what to do about a stuck step; one that is a saga of its own is only retried."""
        step = self.definitions[state.saga_type].by_name[name]
        key = (state.saga_id, name)
        choice = share(roll, 3, 3)
        if choice == 0 or not step.ask or step.saga:
            return OrderKind.RETRY
        if step.kind is StepKind.PIVOT and not state.back and not self.bench.standing.get(key):
            return OrderKind.COMPENSATE
        if choice == 1 and step.kind is not StepKind.PIVOT:
            return OrderKind.SKIP
        self.bench.by_hand(key, undo=state.back)
        return OrderKind.COMPLETE
