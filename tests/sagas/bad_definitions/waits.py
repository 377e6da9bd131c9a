"""Signals that could never be given, or by nobody in particular."""

from functools import partial

from sagas.engine.conditions import equals
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import out, start, text
from sagas.engine.writing import approval, days, parallel, wait
from tests.sagas.bad_definitions.bad import DO, PASS, REVIEW, Bad, line, table
from tests.sagas.commands import Nothing, Review

agree = partial(approval, within=days(7))
scan = partial(wait, signal="scanned", data=Nothing, within=days(7))

BAD = {
    "a wait without deadline": Bad(
        table(wait("scan", signal="scanned", data=Nothing)),
        "step scan: it has no deadline",
    ),
    "an approval that nobody needs": Bad(
        table(agree("agree", needs=0)),
        "step agree: it needs 0 people. Take 1 to 100.",
    ),
    "an approval of too many": Bad(
        table(agree("agree", needs=101)),
        "step agree: it needs 101 people.",
    ),
    "fewer people than needed": Bad(
        table(agree("agree", needs=2, allowed=["ada", "ada"])),
        "step agree: allowed: it names 1 people and needs 2, so it could never be given.",
    ),
    "allowed is one text": Bad(
        table(agree("agree", allowed="ada")),
        "step agree: allowed: 'ada' is no list of actors.",
    ),
    "allowed is a sentence": Bad(
        table(agree("agree", allowed=text("{}", start("lot")))),
        "step agree: allowed: it is no list of actors.",
    ),
    "allowed reads one text": Bad(
        table(agree("agree", allowed=start("lot"))),
        "step agree: allowed: it reads start.lot, which may be str where list[str] is wanted.",
    ),
    "allowed reads what may not be there": Bad(
        table(
            REVIEW,
            line("second", ask=Review, kind=QUERY, when=equals(start("risky"), value=True)),
            agree("agree", allowed=out("second.reviewers")),
        ),
        "step agree: allowed: it reads the answer of second, and that step is not always needed",
    ),
    "a signal that is no name": Bad(
        table(agree("agree", signal="Agreed!")),
        "step agree: its signal 'Agreed!' is part of addresses.",
    ),
    "the same signal twice at once": Bad(
        table(parallel(scan("left"), scan("right"))),
        "step right: step left awaits the signal 'scanned' at the same time",
    ),
    "a wait that cannot stop anything": Bad(
        table(DO, PASS, scan("scan")),
        "step scan: it is a query after the pivot",
    ),
    "a wait as the point of no return": Bad(
        table(scan("scan", kind=PIVOT)),
        "step scan: it awaits a signal and is a pivot",
    ),
    "a denial after the pivot": Bad(
        table(PASS, agree("agree", kind=RETRIABLE)),
        "step agree: a denial ends it, and it stands after the pivot",
    ),
    "a misspelt answer of a signal": Bad(
        table(agree("agree"), agree("again", signal="again", allowed=out("agree.givers"))),
        "it reads agree.givers, and there is no field 'givers'. There is: approved, comment, by.",
    ),
}
