"""Short ways to look at what a decision led to."""

from contracts.errors import Refusal
from sagas.engine.decision import Ignored, Transition, Why


def sent(outcome: Transition | Ignored) -> list[tuple[str, bool]]:
    """Name the steps that an outcome asks for, and whether it asks to undo them."""
    return [(command.step, command.undo) for command in taken(outcome).commands]


def taken(outcome: Transition | Ignored) -> Transition:
    """Give the transition that an input led to."""
    assert isinstance(outcome, Transition), outcome
    return outcome


def why(outcome: Transition | Ignored) -> Why:
    """Say why an input was ignored."""
    assert isinstance(outcome, Ignored), outcome
    return outcome.why


def refusal(outcome: Transition | Ignored) -> Refusal:
    """Give the refusal of an order or a signal."""
    assert isinstance(outcome, Ignored), outcome
    assert outcome.refusal is not None, outcome
    return outcome.refusal
