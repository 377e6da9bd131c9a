"""Conditions that look at nothing or never hold, and steps that rely on what may be skipped."""

from functools import partial

from sagas.engine.conditions import all_of, equals, exceeds, exists, no, one_of
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import out, start, text
from tests.sagas.bad_definitions.bad import DO, PASS, REVIEW, Bad, line, table
from tests.sagas.commands import Do, Label, Review, Undo

look = partial(line, ask=Do, kind=QUERY)
label = partial(line, ask=Label, undo=Undo)
RISKY = equals(start("risky"), value=True)
SECOND = line("second", ask=Review, kind=QUERY, when=RISKY)

BAD = {
    "a condition on a later step": Bad(
        table(look("look", when=equals(out("review.decision"), "release")), REVIEW),
        "step look: when: it reads review.decision, and that step comes later.",
    ),
    "a condition on no field": Bad(
        table(REVIEW, look("look", when=exists(out("review.outcome")))),
        "step look: when: it reads review.outcome, and there is no field 'outcome'.",
    ),
    "a condition on a word that is never said": Bad(
        table(REVIEW, look("look", when=equals(out("review.decision"), "relase"))),
        "step look: when: it compares review.decision with 'relase'",
    ),
    "a condition on one of several shapes": Bad(
        table(look("look", when=one_of(start("lot"), "L1", 7))),
        "step look: when: it compares start.lot with 7, and that is str.",
    ),
    "a number that travels as text": Bad(
        table(REVIEW, look("look", when=equals(out("review.volume_ul"), 1.5))),
        "step look: when: it compares review.volume_ul with 1.5, and that is Decimal.",
    ),
    "a word that is above a number": Bad(
        table(look("look", when=no(exceeds(start("lot"), 3)))),
        "step look: when: it asks whether start.lot is above 3, and that is str.",
    ),
    "a condition that contradicts itself": Bad(
        table(look("look", when=all_of(RISKY, no(RISKY)))),
        "step look: its `when` can never hold: (start.risky is True) and (not (start.risky is True",
    ),
    "a condition that contradicts what it reads": Bad(
        table(
            SECOND,
            look(
                "look", when=all_of(exists(out("second.lot")), equals(start("risky"), value=False))
            ),
        ),
        "step look: its `when` can never hold",
    ),
    "a field filled from what may be skipped": Bad(
        table(SECOND, label("label", given={"decision": out("second.decision")})),
        "it reads the answer of second, and that step is not always needed and may have none.",
    ),
    "a sentence about what may be skipped": Bad(
        table(SECOND, label("label", given={"decision": text("{}", out("second.decision"))})),
        "step label: trial.label.decision: it reads the answer of second",
    ),
    "a field filled by name from what may be skipped": Bad(
        table(SECOND, label("label", given={"lot": "L2"})),
        "step label: trial.label.decision: it reads the answer of second",
    ),
    "another condition than that of what is read": Bad(
        table(
            SECOND,
            label("label", when=no(RISKY), given={"decision": out("second.decision")}),
        ),
        "step label: trial.label.decision: it reads the answer of second",
    ),
    "a field filled from what is optional": Bad(
        table(
            DO,
            PASS,
            line("told", ask=Review, kind=RETRIABLE, optional=True),
            line("label", ask=Label, kind=RETRIABLE, given={"decision": out("told.decision")}),
        ),
        "it reads the answer of told, and that step is optional and may have none.",
    ),
    "a pivot that cannot be": Bad(
        table(DO, line("final", ask=Do, kind=PIVOT, when=equals(start("lot"), None))),
        "step final: when: it compares start.lot with None",
    ),
}
