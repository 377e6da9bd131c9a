"""The shell around the engine, one action at a time: load, decide, append, send, acknowledge.

It does what `services/transaction` and `infra/log` do with an input, with the engine's own `decide`
and the entries' own bytes, but every action that leaves the process is yielded, so that the process
can die before and after each. The rules of the shell are methods, so that a test can break one.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from contracts.entry import GENESIS, Entry, hash_of
from contracts.saga_events import ParentStep
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    ParentReply,
    Start,
    StepCommand,
    Timer,
    Transition,
    Why,
)
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import read_commands, read_replies, read_timers, to_entry_parts
from sagas.engine.state import SagaState
from tests.simulation.broker import Broker, ConflictError, Kept, Message
from tests.simulation.messages import (
    absent_undone,
    child_reply,
    command_message,
    due_message,
    to_moment,
    undo_refused,
)
from tests.simulation.node import Action, Node, UnacknowledgedError, Work

CONFLICTS_MAX: Final = 20
ABSENT_LOOKS_MAX: Final = 6
"""Deliveries of an order to undo a saga over which it may still begin."""
CAUSES_MAX: Final = 32
"""Causes that are remembered with a loaded saga; older ones are looked up in the log."""

Decide = Callable[[Definition, SagaState | None, Input], Transition | Ignored]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A saga as its log has it."""

    newest: Kept | None = None
    number: int = 0
    causes: tuple[str, ...] = ()

    @property
    def state(self) -> SagaState | None:
        """Where the saga stands."""
        return self.newest.state if self.newest else None

    @property
    def seq(self) -> int:
        """The sequence of its newest entry; 0 where there is none."""
        return self.newest.seq if self.newest else 0

    def after(self, kept: Kept) -> "Loaded":
        """Give the saga as it is after one more entry."""
        return Loaded(kept, self.number + 1, (*self.causes[-(CAUSES_MAX - 1) :], kept.cause))


class Asks(NamedTuple):
    """What a transition asks for, besides being kept."""

    commands: tuple[StepCommand, ...]
    timers: tuple[Timer, ...] = ()
    replies: tuple[ParentReply, ...] = ()

    @classmethod
    def of(cls, transition: Transition) -> "Asks":
        """Take all that a transition asks for."""
        return cls(transition.commands, transition.timers, transition.replies)


NOTHING: Final = Loaded()
NO_EFFECTS: Final[Mapping[str, Any]] = {}
Answer = Transition | Ignored | None
"""What the engine said; None where the input was in the log before it was asked."""


@dataclass(slots=True)
class Orchestrators:
    """What every orchestrator of a world does; the memories are one per process."""

    broker: Broker
    definitions: Mapping[str, Definition]
    labels: dict[UUID, str]
    """By saga, its name in the trace."""
    decide: Decide = decide
    memories: dict[str, dict[UUID, Loaded]] = field(default_factory=dict[str, dict[UUID, Loaded]])
    settled: dict[str, str] = field(default_factory=dict[str, str])
    """By input: why it was acknowledged without a transition."""
    acked: dict[str, UUID] = field(default_factory=dict[str, UUID])
    """Every input that was acknowledged, with its saga."""

    def forget(self, node: Node) -> None:
        """Lose what a process had remembered."""
        self.memories.pop(node.name, None)

    def handle(self, node: Node, message: Message) -> Work:
        """Deal with one input, to the end."""
        given: Input = message.body.make(node.time())
        if isinstance(given, Start) and given.parent is not None:
            waits = yield from self.is_wanted(message, given.parent)
            if not waits:
                yield from self.acknowledge(node, message)
                return
        answer, loaded = yield from self.transact(node, message, given)
        if isinstance(answer, Transition):
            yield from self.send(node, answer.state, Asks.of(answer))
        elif isinstance(answer, Ignored):
            yield from self.settle(node, message, given, answer)
        else:
            yield from self.send_again(node, message, loaded)
        yield from self.acknowledge(node, message)

    def settle(self, node: Node, message: Message, given: Input, answer: Ignored) -> Work:
        """Deal with an input that leads to nothing."""
        self.settled[message.id] = answer.detail
        if answer.why is Why.EARLY and answer.again_at and isinstance(given, Due):
            timer = Timer(name=given.name, due_at=answer.again_at)
            key = f"{message.saga_id}:{timer.name}:{answer.again_at.timestamp():.3f}"
            yield self.arm(node, message.saga_id, timer, key)
        elif answer.why is Why.UNKNOWN and message.body.asked_by is not None:
            yield from self.undo_absent(message)
        elif answer.dead:
            yield Action("bury", lambda: self.broker.bury(message, answer.detail))
        elif answer.refusal is not None:
            reply = undo_refused(message, given, answer.refusal, self.labels)
            if reply is not None:
                yield Action("answer", lambda: self.broker.publish(reply))

    def is_wanted(self, message: Message, parent: ParentStep) -> Generator[Action, Any, bool]:
        """Say whether the step that asked for a saga still waits for it."""

        def look() -> bool:
            newest = self.broker.newest(parent.transaction_id)
            step = newest.state.steps.get(parent.step) if newest else None
            return step is not None and step.command_id == parent.command_id

        waits: bool = yield Action("look at parent", look)
        if not waits:
            self.settled[message.id] = "its parent waits no more"
        return waits

    def undo_absent(self, message: Message) -> Work:
        """Wait for a saga that is to be undone; one that never begins is undone already.

        Raises:
            UnacknowledgedError: it may yet begin; the order has to come again.
        """
        if message.delivered < ABSENT_LOOKS_MAX:
            raise UnacknowledgedError
        reply = absent_undone(message, self.labels)
        yield Action("answer", lambda: self.broker.publish(reply))

    def acknowledge(self, node: Node, message: Message) -> Work:
        """Say that the input need not come again."""

        def ack() -> None:
            message.done = True
            self.acked[message.id] = message.saga_id
            self.broker.kernel.say(node.name, f"acks {message.label}")

        yield Action("ack", ack)

    # Deciding

    def transact(
        self, node: Node, message: Message, given: Input
    ) -> Generator[Action, Any, tuple[Answer, Loaded]]:
        """Load, decide and append, until the race is not lost.

        Raises:
            UnacknowledgedError: nothing is known to be appended; the input has to come again.
        """
        again = message.delivered > 1
        known = None if again else self._recall(node, message, given)
        loaded = known or (yield from self.load(node, message))
        answer: Answer = None
        for _ in range(CONFLICTS_MAX):
            if self.applied(message, loaded, again=again):
                if known is not None:
                    loaded = yield from self.load(node, message)
                return self.when_applied(answer), loaded
            answer = self.ask_engine(message, loaded.state, given)
            if isinstance(answer, Ignored) and known is None:
                return answer, loaded
            if isinstance(answer, Transition):
                try:
                    return answer, (yield from self.append(node, message, loaded, answer))
                except ConflictError:
                    self.broker.kernel.say(node.name, f"lost the race on {message.label}")
            # It was said of what is remembered, or of what has changed: the log knows better.
            before, known = loaded, None
            loaded = yield from self.load(node, message)
            if isinstance(answer, Ignored) and loaded.seq == before.seq:
                return answer, loaded
        raise UnacknowledgedError

    def _recall(self, node: Node, message: Message, given: Input) -> Loaded | None:
        known = self.memories.setdefault(node.name, {}).get(message.saga_id)
        return known or (NOTHING if isinstance(given, Start) else None)

    def ask_engine(
        self, message: Message, state: SagaState | None, given: Input
    ) -> Transition | Ignored:
        """Let the engine decide under the definition that the saga began with."""
        saga_type = message.body.begins if state is None else state.saga_type
        if saga_type is None:
            return Ignored(why=Why.UNKNOWN, detail="there is no such saga")
        return self.decide(self.definitions[saga_type], state, given)

    def applied(self, message: Message, loaded: Loaded, *, again: bool) -> bool:
        """Say whether the input is in the log already."""
        if message.id in loaded.causes:
            return True
        return again and message.id in self.broker.heard.get(message.saga_id, ())

    def when_applied(self, decided: Answer) -> Answer:
        """Give what counts where an input turns out to be in the log: nothing that was decided.

        Whoever appended it may have met another state; what that asks for stands in its entry.
        """
        del decided
        return None

    def load(self, node: Node, message: Message) -> Generator[Action, Any, Loaded]:
        """Read a saga's log."""
        saga_id = message.saga_id

        def read() -> Loaded:
            log = self.broker.logs.get(saga_id, [])
            causes = tuple(kept.cause for kept in log[-CAUSES_MAX:])
            return Loaded(log[-1] if log else None, len(log), causes)

        loaded: Loaded = yield Action("load", read)
        if loaded.newest is not None:
            self.memories.setdefault(node.name, {})[saga_id] = loaded
        return loaded

    def append(
        self, node: Node, message: Message, loaded: Loaded, transition: Transition
    ) -> Generator[Action, Any, Loaded]:
        """Append a transition; where no acknowledgement comes, the log is read back.

        Raises:
            ConflictError: somebody else was first.
            UnacknowledgedError: it is not in the log.
        """
        entry = to_entry(message, loaded, transition)
        label = self.labels[message.saga_id]

        def put() -> Kept:
            kept = self.broker.append(message.saga_id, self.expected(loaded), entry)
            steps = ", ".join(f"{n} {s.status}" for n, s in kept.state.steps.items())
            self.broker.kernel.say(
                node.name,
                f"appends {label} #{loaded.number + 1} on {message.label}: "
                f"{kept.state.status}: {steps}",
            )
            return kept

        try:
            kept: Kept = yield Action("append", put)
        except (UnacknowledgedError, ConflictError) as error:
            found: Kept | None = yield Action(
                "read back", lambda: self.broker.newest(message.saga_id)
            )
            if found is None or found.body != entry.body:
                raise error from None
            kept = found
        after = loaded.after(kept)
        self.memories.setdefault(node.name, {})[message.saga_id] = after
        return after

    def expected(self, loaded: Loaded) -> int:
        """Say which entry the new one must follow."""
        return loaded.seq

    # Sending

    def send(
        self,
        node: Node,
        state: SagaState,
        asks: Asks,
    ) -> Work:
        """Send what a transition asked for."""
        for timer in asks.timers:
            yield self.arm(node, state.saga_id, timer, f"{state.saga_id}:{timer.name}")
        for command in asks.commands:
            message = command_message(command, state, self.labels)
            yield Action("send", partial(self._publish, node, message))
        for reply in asks.replies:
            message = child_reply(reply, self.labels)
            yield Action("answer", partial(self._publish, node, message))

    def _publish(self, node: Node, message: Message) -> None:
        self.broker.kernel.say(node.name, f"sends {message.label}")
        self.broker.publish(message)

    def send_again(self, node: Node, message: Message, loaded: Loaded) -> Work:
        """Send once more what the transition of a repeated input asked for and is still awaited."""
        state = loaded.state
        if state is None:
            return
        effects: Mapping[str, Any] = yield Action("find", lambda: self._effects_of(message, state))
        steps = state.steps.values()
        awaited = {one for step in steps for one in (step.command_id, step.probe_id)}
        armed = {state.timer, *(step.timer for step in steps)}
        commands = tuple(c for c in read_commands(effects) if c.command_id in awaited)
        timers = tuple(t for t in read_timers(effects) if t.name in armed)
        yield from self.send(node, state, Asks(commands, timers, read_replies(effects)))

    def _effects_of(self, message: Message, state: SagaState) -> Mapping[str, Any]:
        log = self.broker.logs[message.saga_id]
        if state.status.ended and state.parent is not None:
            # Asked again, a saga that is a step of another says again how it ended.
            return next((k.effects for k in reversed(log) if "replies" in k.effects), NO_EFFECTS)
        return next((k.effects for k in reversed(log) if k.cause == message.id), NO_EFFECTS)

    def arm(self, node: Node, saga_id: UUID, timer: Timer, key: str) -> Action:
        """Ask the broker to say when a time has come; see `slot` for what this replaces."""
        due = due_message(saga_id, timer.name, key, self.labels[saga_id])
        subject, at = self.slot(saga_id, timer), to_moment(timer.due_at)

        def put() -> None:
            self.broker.kernel.say(node.name, f"arms {due.label}")
            self.broker.schedule(subject, due, at)

        return Action("arm", put)

    def slot(self, saga_id: UUID, timer: Timer) -> str:
        """Name the subject of a timer, one per step: a newer one there replaces the older."""
        return f"{saga_id} {timer.name.rpartition('.')[0]}"


def to_entry(message: Message, loaded: Loaded, transition: Transition) -> Kept:
    """Write a transition as the entry that follows what was loaded."""
    given = transition.input
    events, effects = to_entry_parts(transition)
    body = Entry(
        events=events,
        at=given.at,
        actor=given.actor if isinstance(given, Start) else transition.state.actor,
        cause=message.id,
        correlation=transition.state.correlation,
        number=loaded.number + 1,
        prev_hash=loaded.newest.hash if loaded.newest else GENESIS,
        effects=effects,
    ).to_bytes()
    return Kept(0, message.id, body, hash_of(body), transition.state, effects)
