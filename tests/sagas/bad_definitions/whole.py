"""Sagas that are too long, too short of time, or found by what they do not know."""

from sagas.engine.definition import Definition
from sagas.engine.mapping import out, start
from sagas.engine.writing import parallel, saga, seconds
from tests.sagas.bad_definitions.bad import DO, REVIEW, Bad, line
from tests.sagas.commands import Begin, Do, Undo

TWICE = parallel(DO, REVIEW)


def found_by(**attributes: object) -> Definition:
    """Make a saga that is found by these."""
    return saga("trial", version=1, starts_with=Begin, attributes=attributes)(DO)


BAD = {
    "more steps than anybody can follow": Bad(
        saga("trial", version=1, starts_with=Begin)(
            *(line(f"do_{number}", ask=Do, undo=Undo) for number in range(101))
        ),
        "it has 101 steps, and 100 are allowed.",
        marked="saga(",
    ),
    "less time than its steps": Bad(
        saga("trial", version=1, starts_with=Begin, within=seconds(119))(
            TWICE, line("last", ask=Do, undo=Undo)
        ),
        "within 119 s, and its steps one after the other may take 120 s.",
        marked="saga(",
    ),
    "a type that is no name": Bad(
        saga("Trial.1", version=1, starts_with=Begin)(DO),
        "its type 'Trial.1' is part of subjects.",
        marked="saga(",
    ),
    "a version before the first": Bad(
        saga("trial", version=0, starts_with=Begin)(DO),
        "its version is 0.",
        marked="saga(",
    ),
    "found by what the start does not say": Bad(
        found_by(box=start("box")),
        "attribute box: it reads start.box, and there is no field 'box'.",
        marked="saga(",
    ),
    "found by a list": Bad(
        found_by(people=start("people")),
        "attribute people: it reads start.people, which may be list[str]",
        marked="saga(",
    ),
    "found by an answer": Bad(
        found_by(decision=out("review.decision")),
        "attribute decision: it reads a step's answer, and no step has answered yet.",
        marked="saga(",
    ),
    "found by no name": Bad(
        found_by(**{"lot-number": start("lot")}),
        "the name of attribute 'lot-number' is part of addresses.",
        marked="saga(",
    ),
    "found by too much": Bad(
        found_by(**{f"lot_{number}": start("lot") for number in range(21)}),
        "it has 21 attributes, and 20 are allowed.",
        marked="saga(",
    ),
    "the name of the saga's own timer": Bad(
        saga("trial", version=1, starts_with=Begin)(line("saga", ask=Do, undo=Undo)),
        "step saga: the timer of the whole saga goes by this name.",
    ),
}
