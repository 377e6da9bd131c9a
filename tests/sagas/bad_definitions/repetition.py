"""Steps that are asked again where that is not safe, or after refusals that nobody knows."""

from functools import partial

from sagas.engine.definition import PIVOT, RETRIABLE, Retry
from tests.sagas.bad_definitions.bad import PASS, Bad, line, table
from tests.sagas.commands import AskHalf, AskLot, AskOdd, Do, Undo

once = partial(line, ask=Do, undo=Undo, retry=Retry(1), idempotent=False)
again = partial(line, ask=Do, undo=Undo)

BAD = {
    "a missing idempotency key": Bad(
        table(PASS, line("after", ask=Do, kind=RETRIABLE, idempotent=False, retry=Retry(1))),
        "step after: it is retriable, and its participant cannot tell a repetition",
    ),
    "asked again where that is not safe": Bad(
        table(once("do", retry=Retry(3))),
        "step do: it may be asked 3 times, and asking again is not safe.",
    ),
    "a pivot asked again where that is not safe": Bad(
        table(line("final", ask=Do, kind=PIVOT, idempotent=False)),
        "step final: it may be asked 20 times, and asking again is not safe.",
    ),
    "a probe that says it in words": Bad(
        table(once("do", probe=AskOdd)),
        "step do: its probe AskOdd answers 'done' as <class 'str'>",
    ),
    "a refusal that nobody knows": Bad(
        table(again("do", retry=Retry(3, also=("storage.no_rom",)))),
        "step do: retry names the code 'storage.no_rom', which no refusal has. There is: storage.",
    ),
    "a refusal of no service": Bad(
        table(again("do", undo_retry=Retry(3, never=("nonsense",)))),
        "step do: undo_retry names the code 'nonsense', which no refusal has. Take one of",
    ),
    "asked again and never": Bad(
        table(
            again("do", retry=Retry(3, also=("storage.no_room",), never=("storage.no_room",))),
        ),
        "step do: retry asks again after 'storage.no_room', and never does.",
    ),
    "more chance than pause": Bad(
        table(again("do", retry=Retry(3, jitter=1.5))),
        "step do: retry has a jitter of 1.5.",
    ),
    "a probe that answers too little": Bad(
        table(once("do", probe=AskHalf)),
        "step do: its probe AskHalf does not answer 'result'",
    ),
    "a probe of another shape": Bad(
        table(once("do", probe=AskLot, given={})),
        "step do: trial.ask_lot needs 'box', which nothing fills",
    ),
}
