"""Steps asked at once that depend on each other, or should not be."""

from sagas.engine.definition import PIVOT, QUERY
from sagas.engine.mapping import out
from sagas.engine.writing import parallel
from tests.sagas.bad_definitions.bad import AFTER, DO, PASS, REVIEW, Bad, line, table
from tests.sagas.commands import Do, Label, Undo

BAD = {
    "a group of none": Bad(
        table(DO, parallel()),
        "stage 2 is parallel and has no step(s).",
        marked="saga(",
    ),
    "a group of one": Bad(
        table(parallel(DO)),
        "step do: stage 1 is parallel and has 1 step(s).",
    ),
    "a pivot within a group": Bad(
        table(parallel(DO, line("final", ask=Do, kind=PIVOT))),
        "step final: it is the pivot and asked at once with do",
    ),
    "a step that reads its sibling": Bad(
        table(
            parallel(
                REVIEW,
                line("label", ask=Label, undo=Undo, given={"decision": out("review.decision")}),
            )
        ),
        "it reads review.decision, and that step is asked at the same time. Read from: start.",
    ),
    "a compensatable within a group after the pivot": Bad(
        table(PASS, parallel(AFTER, DO)),
        "step do: it is compensatable and stands after the pivot",
    ),
    "a query within a group after the pivot": Bad(
        table(PASS, parallel(AFTER, line("look", ask=Do, kind=QUERY))),
        "step look: it is a query after the pivot",
    ),
    "a retriable within a group before the pivot": Bad(
        table(parallel(DO, AFTER), PASS),
        "step after: it is retriable and stands before the pivot",
    ),
    "the same name twice in a group": Bad(
        table(parallel(DO, DO)),
        "step do: another step has this name",
    ),
}
