"""The participants of a simulated world: honest services that do each command once.

They keep what they did or refused by command id, in one step with doing it; they remember what was
undone before it was done, and take back only what they had given. Several processes may deal with
one command at once. Whether a saga asks for the right things is not theirs to judge, but a thing
done twice shows here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from contracts.errors import NotFound, Refusal, Unavailable
from contracts.transaction import Failure
from sagas.engine.decision import StepCommand, failure_of
from tests.simulation.broker import Broker, Message
from tests.simulation.definitions import Probe
from tests.simulation.dice import Dice
from tests.simulation.faults import ON_ANSWER, Fault, Faults
from tests.simulation.messages import Order, reply_message
from tests.simulation.node import Action, Node, Work

StepKey = tuple[UUID, str]
Outcome = dict[str, Any] | Failure
"""What a participant says to a command."""
_REFUSALS: Final[dict[Fault | None, Refusal]] = {
    Fault.REFUSED: NotFound(what="rack", key="R01"),
    Fault.UNWELL: Unavailable(what="the freezer"),
}


@dataclass(slots=True)
class Bench:
    """The truth of the participants: what stands done, and by which command."""

    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """By command type: what is answered besides a receipt."""
    standing: dict[StepKey, list[str]] = field(default_factory=dict[StepKey, list[str]])
    """The receipts of what stands done; more than one is a thing done twice."""
    undone: set[StepKey] = field(default_factory=set[StepKey])
    outcomes: dict[UUID, Outcome] = field(default_factory=dict[UUID, Outcome])
    """By command."""
    wrong: list[str] = field(default_factory=list[str])
    """What should never have been asked for."""

    def carry_out(self, command: StepCommand, saga_id: UUID, refusal: Refusal | None) -> Outcome:
        """Do or undo a step, or refuse to; once per command."""
        known = self.outcomes.get(command.command_id)
        if known is not None:
            return known
        key = (saga_id, command.step)
        outcome: Outcome
        if refusal is None and command.type == Probe.contract.type:
            outcome = self._look(key)
        else:
            refusal = refusal or self._change(command, key)
            outcome = {"receipt": str(command.command_id), **self.answers.get(command.type, {})}
        if refusal is not None:
            outcome = failure_of(command.step, refusal)
        self.outcomes[command.command_id] = outcome
        return outcome

    def by_hand(self, key: StepKey, *, undo: bool) -> None:
        """Let a person see to it that a step is done, or undone."""
        if undo:
            self.standing.pop(key, None)
            self.undone.add(key)
        elif not self.standing.get(key):
            self.standing[key] = ["by hand"]

    def _look(self, key: StepKey) -> dict[str, Any]:
        """Say what became of a step; once that is "not done", it will not be done any more."""
        standing = self.standing.get(key)
        if not standing:
            return {"done": False}
        return {"done": True, "result": {"receipt": standing[-1]}}

    def _change(self, command: StepCommand, key: StepKey) -> Refusal | None:
        standing = self.standing.setdefault(key, [])
        if command.undo:
            receipt = command.data.get("receipt")
            if receipt is not None and standing and receipt not in standing:
                return NotFound(what="receipt", key=str(receipt))
            standing.clear()
            self.undone.add(key)
            return None
        if key in self.undone:
            return NotFound(what="reservation", key=command.step)
        standing.append(str(command.command_id))
        if len(standing) > 1:
            self.wrong.append(f"{command.step} was done twice: {', '.join(standing)}")
        return None


@dataclass(slots=True)
class Participants:
    """What every participant of a world does."""

    broker: Broker
    dice: Dice
    faults: Faults
    bench: Bench

    def handle(self, node: Node, message: Message) -> Work:
        """Deal with one command: do it, answer, acknowledge."""
        order: Order = message.body
        fault = self._fault(message)
        if fault is not Fault.SILENT:
            outcome = yield Action("do", lambda: self._carry_out(node, message, fault))
            reply = reply_message(
                message.saga_id,
                order.command.step,
                order.command.command_id,
                outcome,
                label=order.label,
            )
            yield Action("answer", lambda: self.broker.publish(reply))
        yield Action("ack", lambda: _done(message))

    def _fault(self, message: Message) -> Fault | None:
        point = f"{message.label}, delivery {message.delivered}, answer"
        fault = self.faults.pick(point, ON_ANSWER, self.dice.roll(point)[0])
        if fault is Fault.REFUSED and message.body.command.undo:
            # No participant refuses an undo; at most it is unwell.
            return Fault.UNWELL
        return fault

    def _carry_out(self, node: Node, message: Message, fault: Fault | None) -> Outcome:
        outcome = self.bench.carry_out(message.body.command, message.saga_id, _REFUSALS.get(fault))
        what = f"refuses ({outcome.code})" if isinstance(outcome, Failure) else "does"
        self.broker.kernel.say(node.name, f"{what} {message.label}")
        return outcome


def _done(message: Message) -> None:
    message.done = True
