"""Sagas within sagas that could not be begun, undone or read."""

from contracts.message import Command
from contracts.types import View
from sagas.engine.definition import COMPENSATABLE, PIVOT, QUERY
from sagas.engine.mapping import out, start
from sagas.engine.writing import child, saga, seconds, wait
from tests.sagas.bad_definitions.bad import DO, PASS, REVIEW, Bad, line, table
from tests.sagas.commands import Begin, Label, Nothing, Undo


class Unlisted(Command[View]):
    """A command of no contract module."""


UNDOABLE = saga("undoable", version=1, starts_with=Begin)(REVIEW, DO)
FINAL = saga("final", version=1, starts_with=Begin)(DO, PASS)
LABELLING = saga("labelling", version=1, starts_with=Label)(DO)
BROKEN = saga("broken", version=1, starts_with=Begin)(wait("scan", signal="scanned", data=Nothing))
UNKNOWN = saga("unknown", version=1, starts_with=Unlisted)(DO)
ROUND = saga("trial", version=1, starts_with=Begin)(DO)
OUTER = saga("outer", version=1, starts_with=Begin)(child("inner", saga=ROUND, within=seconds(60)))

BAD = {
    "a child with a fault": Bad(
        table(child("pack", saga=BROKEN, within=seconds(60))),
        "step scan: it has no deadline",
    ),
    "a child that nothing known begins": Bad(
        table(child("pack", saga=UNKNOWN, within=seconds(60))),
        "no command of the catalog is Unlisted",
        marked='saga("unknown"',
    ),
    "a child that begins its parent": Bad(
        table(child("pack", saga=OUTER, within=seconds(60))),
        "step pack: it begins outer version 1, within which trial begins again",
    ),
    "a final child that is to be undone": Bad(
        table(child("pack", saga=FINAL, kind=COMPENSATABLE, within=seconds(60))),
        "step pack: it is a compensatable, and the saga that it begins has a point of no return",
    ),
    "a final child before the pivot": Bad(
        table(child("pack", saga=FINAL, kind=QUERY, within=seconds(60)), PASS),
        "step pack: it is a query, and the saga that it begins has a point of no return",
    ),
    "a final child after the pivot as a second one": Bad(
        table(PASS, child("pack", saga=FINAL, kind=PIVOT, within=seconds(60))),
        "step pack: it is the second pivot",
    ),
    "a child that changes something as a query": Bad(
        table(child("pack", saga=UNDOABLE, kind=QUERY, within=seconds(60))),
        "step pack: it is a query, and the saga that it begins changes something",
    ),
    "a child whose message nothing fills": Bad(
        table(child("pack", saga=LABELLING, within=seconds(60))),
        "step pack: trial.label needs 'decision', which nothing fills",
    ),
    "a child whose message gets another shape": Bad(
        table(
            child(
                "pack",
                saga=LABELLING,
                within=seconds(60),
                given={"decision": start("people")},
            )
        ),
        "step pack: trial.label.decision: it reads start.people, which may be list[str] where str",
    ),
    "a child whose message lacks a field": Bad(
        table(child("pack", saga=UNDOABLE, within=seconds(60), given={"colour": "red"})),
        "step pack: given fills 'colour', and trial.begin has no such field",
    ),
    "a child that stands before what it reads": Bad(
        table(
            child("pack", saga=UNDOABLE, within=seconds(60), given={"lot": out("review.lot")}),
            REVIEW,
        ),
        "step pack: trial.begin.lot: it reads review.lot, and that step comes later.",
    ),
    "a step of a child that there is not": Bad(
        table(
            child("pack", saga=UNDOABLE, within=seconds(60)),
            line(
                "label",
                ask=Label,
                undo=Undo,
                given={"decision": out("pack.steps.rewiev.decision")},
            ),
        ),
        "it reads pack.steps.rewiev.decision, and there is no field 'rewiev'. There is: review, do",
    ),
}
