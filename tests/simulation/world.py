"""One simulated world: a broker, orchestrators, participants, people, their clocks, some sagas.

A world follows from its seed, its number and its faults alone. It runs until nothing is left to do:
faults strike for a while, then cease, and everything must come to an end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from contracts.transaction import TransactionStatus
from contracts.types import derive_id
from sagas.engine.definition import Definition
from sagas.engine.state import SagaState
from tests.simulation import checks
from tests.simulation.broker import Broker, Kept, Message, Queue
from tests.simulation.definitions import ALL, by_type
from tests.simulation.dice import Dice, share
from tests.simulation.faults import ON_OWNER, Faults
from tests.simulation.kernel import MILLISECOND, SECOND, Kernel
from tests.simulation.messages import Order, due_message, start_message, to_moment
from tests.simulation.node import Node, Work
from tests.simulation.orchestrator import Orchestrators
from tests.simulation.participants import Bench, Participants
from tests.simulation.people import People

BASE: Final = UUID("0198a000-0000-7000-8000-000000000000")
ORCHESTRATORS: Final = 3
PARTICIPANTS: Final = 2
PARTITIONS: Final = 4
START_MAX: Final = 5_000
"""Milliseconds within which the sagas of a world begin."""
START_AGAIN: Final = 7 * SECOND
"""When a client that heard nothing sends its start again."""
SWEEP: Final = 30 * SECOND
OVERDUE: Final = 10 * SECOND
"""What is due for longer than this is taken for forgotten."""
LOOK: Final = 10 * SECOND
"""How often people look at the sagas."""
TROUBLE: Final = 120 * SECOND
"""For how long faults strike."""
QUIET: Final = TROUBLE + 600 * SECOND
"""When everything that was held up has come, and people look after what failed."""
BUSY_MAX: Final = 50
"""Milliseconds that a saga takes where nothing is in its way."""
LOOK_QUIET: Final = 120 * SECOND
HORIZON: Final = 24 * 3_600 * SECOND
"""Far longer than any of these sagas may take; then nobody looks after them any more."""
MOVES: Final = 4
"""How often a partition may get another owner."""
EVENTS_MAX: Final = 20_000
"""Events per saga; a world that takes more does not come to rest."""


@dataclass(slots=True, eq=False)
class World:
    """One world. Parts that a test breaks are replaced before `run`."""

    dice: Dice
    faults: Faults
    numbers: Sequence[int]
    """Which of the world's sagas take part."""
    definitions: Sequence[Definition] = ALL
    deep_every: int = 16
    """Every so manieth saga is also read back from its bytes and decided again."""
    sweeps: bool = True
    """Whether there is a second net under the timers."""
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """By command type: what participants answer besides a receipt."""
    message: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What stands in the messages that begin sagas, besides their type."""
    peopled: bool = True
    """Whether people give orders, and mend what failed."""
    kernel: Kernel = field(default_factory=Kernel)
    sagas: dict[int, UUID] = field(default_factory=dict[int, UUID])
    """Those that clients begin; children have none of these numbers."""
    labels: dict[UUID, str] = field(default_factory=dict[UUID, str])
    broker: Broker = field(init=False)
    orchestrators: Orchestrators = field(init=False)
    participants: Participants = field(init=False)
    people: People = field(init=False)
    nodes: list[Node] = field(init=False)
    benches: list[Node] = field(init=False)
    broken: str | None = None
    _owners: list[int] = field(default_factory=lambda: list(range(PARTITIONS)))
    _open: set[UUID] = field(default_factory=set[UUID])
    _sweeps: int = 0
    _over: bool = False
    """Whether nobody will look after the sagas any more."""

    def __post_init__(self) -> None:
        """Put everything in its place; nothing has happened yet."""
        self.broker = Broker(self.kernel, self.dice, self.faults)
        definitions = by_type(*self.definitions)
        self.orchestrators = Orchestrators(self.broker, definitions, self.labels)
        self.participants = Participants(self.broker, self.dice, self.faults, Bench(self.answers))
        self.people = People(
            self.broker,
            self.dice,
            self.faults,
            self.participants.bench,
            self.labels,
            definitions,
        )
        self.broker.watch = self._on_append
        self.broker.take = {Queue.INPUTS: self._to_owner, Queue.COMMANDS: self._to_participant}
        parts = (self.kernel, self.broker, self.dice, self.faults)
        self.nodes = [
            Node(f"orch-{n}", *parts, self._orchestrate, self._forget) for n in range(ORCHESTRATORS)
        ]
        self.benches = [
            Node(f"part-{n}", *parts, self._participate, self._forget) for n in range(PARTICIPANTS)
        ]

    def definition_of(self, state: SagaState) -> Definition:
        """Say under which definition a saga runs."""
        return self.orchestrators.definitions[state.saga_type]

    def run(self) -> str | None:
        """Run to the end; say what does not hold, or None."""
        for node in (*self.nodes, *self.benches):
            node.set_clock()
        for number in self.numbers:
            self._begin(number)
        for partition in range(PARTITIONS):
            self._plan_moves(partition)
        self.kernel.after(TROUBLE, self.faults.cease)
        self.kernel.after(LOOK, self._look)
        if self.sweeps:
            self.kernel.after(SWEEP, self._sweep)
        try:
            rests = self.kernel.run(EVENTS_MAX * len(self.sagas))
            checks.at_rest(self, rests=rests)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is a finding
            self.broken = f"{type(error).__name__}: {error}"
            self.kernel.say("check", self.broken)
        return self.broken

    def close(self) -> None:
        """Let go of everything, so that nothing is left for the garbage collector."""
        self.broker.take.clear()
        self.broker.watch = None
        self.nodes.clear()
        self.benches.clear()
        self.kernel.clear()

    # Sagas

    def _begin(self, number: int) -> None:
        label = f"s{number}"
        saga_id = derive_id(BASE, *self.dice.roll(label))
        self.sagas[number] = saga_id
        self.labels[saga_id] = label
        self._open.add(saga_id)
        definition = self.definitions[number % len(self.definitions)]
        start = start_message(saga_id, definition.saga_type, self.message, label)
        wait = self.dice.below(f"{label} begins", START_MAX) * MILLISECOND
        self.kernel.after(wait, self._send_start, start)
        busy = wait + 500 + self.dice.below(f"{label} is busy", BUSY_MAX) * MILLISECOND
        if self.peopled:
            self.kernel.after(busy, self.people.disturb, saga_id)

    def _send_start(self, start: Message) -> None:
        if start.saga_id not in self.broker.logs:
            self.broker.publish(replace(start))
            self.kernel.after(START_AGAIN, self._send_start, start)

    def _on_append(self, saga_id: UUID, kept: Kept, before: SagaState | None) -> None:
        checks.on_append(self.labels[saga_id], kept, before)
        if kept.state.status.ended:
            self._open.discard(saga_id)
        else:
            self._open.add(saga_id)

    # Who gets what

    def _orchestrate(self, node: Node, message: Message) -> Work:
        return self.orchestrators.handle(node, message)

    def _participate(self, node: Node, message: Message) -> Work:
        return self.participants.handle(node, message)

    def _forget(self, node: Node) -> None:
        self.orchestrators.forget(node)

    def _to_owner(self, message: Message) -> bool:
        return _begin_at(self.nodes, self._owners[message.saga_id.int % PARTITIONS], message)

    def _to_participant(self, message: Message) -> bool:
        order: Order = message.body
        log = self.broker.logs.get(message.saga_id, [])
        checks.on_command(order.label, log, order.command)
        return _begin_at(self.benches, message.saga_id.int, message)

    def _plan_moves(self, partition: int) -> None:
        for number in range(MOVES):
            point = f"owner of partition {partition}, {number}"
            roll = self.dice.roll(point)
            if self.faults.pick(point, ON_OWNER, roll[0]):
                wait = share(roll, 1, 20_000) * MILLISECOND
                self.kernel.after(wait, self._move, partition, 1 + share(roll, 2, 2))

    def _move(self, partition: int, by: int) -> None:
        self._owners[partition] += by
        owner = self.nodes[self._owners[partition] % ORCHESTRATORS]
        self.kernel.say(owner.name, f"owns partition {partition}")

    # From time to time

    def _look(self) -> None:
        now = self.kernel.now
        mended = self.peopled and self.people.look(quiet=now >= QUIET)
        calm = now >= QUIET or not self.peopled
        self._over = calm and not mended and (not self._open or now > HORIZON)
        if not self._over:
            self.kernel.after(LOOK if now < TROUBLE else LOOK_QUIET, self._look)

    def _sweep(self) -> None:
        """Tell sagas of timers that nobody told them of."""
        self._sweeps += 1
        for saga_id, log in list(self.broker.logs.items()):
            state = log[-1].state
            if state.status.ended and state.status is not TransactionStatus.FAILED:
                continue
            armed = [(step.timer, step.due_at) for step in state.steps.values()]
            for timer, due_at in (*armed, (state.timer, state.deadline)):
                if timer and due_at and to_moment(due_at) + OVERDUE < self.kernel.now:
                    key = f"{saga_id}:{timer}:sweep {self._sweeps}"
                    self.broker.publish(due_message(saga_id, timer, key, self.labels[saga_id]))
        if not self._over:
            self.kernel.after(SWEEP, self._sweep)


def _begin_at(nodes: Sequence[Node], first: int, message: Message) -> bool:
    """Give a message to the first of some processes that is at work, from one on."""
    for turn in range(len(nodes)):
        node = nodes[(first + turn) % len(nodes)]
        if node.at_work:
            node.begin(message)
            return True
    return False
