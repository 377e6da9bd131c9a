"""Lines that cannot work by themselves, or where they stand: with the laboratory's own commands."""

from functools import partial

from contracts.message import Command
from contracts.notification import SendNotification
from contracts.sample import MarkSamplesStored, RegisterSamples, WithdrawSamples
from contracts.storage import AddContainer, ConfirmPositions, ReleasePositions, ReservePositions
from contracts.template import ValidateManifest
from contracts.transaction import SubmitManifest
from contracts.types import View
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry, Step
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import saga, seconds, step
from tests.sagas.bad_definitions.bad import Bad


class Unlisted(Command[View]):
    """A command of no contract module."""


line = partial(step, within=seconds(60))
"""A line with a deadline."""


def table(*steps: Step) -> Definition:
    """Make a definition of these lines."""
    return saga("intake", version=1, starts_with=SubmitManifest)(*steps)


VALIDATE = line("validate", ask=ValidateManifest, kind=QUERY)
REGISTER = line("register", ask=RegisterSamples, undo=WithdrawSamples)
RESERVE = line("reserve", ask=ReservePositions, undo=ReleasePositions)
STORE = line("store", ask=ConfirmPositions, kind=PIVOT)
MARK = line("mark", ask=MarkSamplesStored, kind=RETRIABLE)
NOTIFY: dict[str, object] = {"template": "submission_stored", "values": {}}

BAD = {
    "no steps": Bad(table(), "it has no steps", marked="saga("),
    "no such start": Bad(
        saga("intake", version=1, starts_with=Unlisted)(STORE),
        "no command of the catalog is Unlisted",
        marked="saga(",
    ),
    "same name twice": Bad(table(VALIDATE, VALIDATE), "step validate: another step has this name"),
    "a name with a dot": Bad(
        table(line("va.lidate", ask=ValidateManifest, kind=QUERY)),
        "Use lower-case letters, digits and underscores",
    ),
    "an unknown command": Bad(
        table(line("odd", ask=Unlisted, kind=QUERY)),
        "step odd: no command of the catalog is Unlisted",
    ),
    "compensatable after the pivot": Bad(
        table(VALIDATE, STORE, RESERVE),
        "step reserve: it is compensatable and stands after the pivot",
    ),
    "a query after the pivot": Bad(
        table(STORE, VALIDATE),
        "step validate: it is a query after the pivot",
    ),
    "two pivots": Bad(
        table(STORE, line("again", ask=ConfirmPositions, kind=PIVOT)),
        "step again: it is the second pivot",
    ),
    "retriable before the pivot": Bad(
        table(VALIDATE, MARK, STORE),
        "step mark: it is retriable and stands before the pivot",
    ),
    "compensatable without undo": Bad(
        table(VALIDATE, line("register", ask=RegisterSamples)),
        "step register: it is compensatable and has no undo",
    ),
    "a query with undo": Bad(
        table(line("validate", ask=ValidateManifest, kind=QUERY, undo=ReleasePositions)),
        "step validate: it is a query and has an undo",
    ),
    "a retriable with undo": Bad(
        table(
            VALIDATE,
            STORE,
            line("mark", ask=MarkSamplesStored, kind=RETRIABLE, undo=ReleasePositions),
        ),
        "step mark: it is a retriable and has an undo",
    ),
    "an optional pivot": Bad(
        table(line("store", ask=ConfirmPositions, kind=PIVOT, optional=True)),
        "step store: it is optional and a pivot",
    ),
    "no deadline": Bad(
        table(step("validate", ask=ValidateManifest, kind=QUERY)),
        "step validate: it has no deadline",
    ),
    "no attempts": Bad(
        table(line("validate", ask=ValidateManifest, kind=QUERY, retry=Retry(0))),
        "step validate: retry has 0 attempts",
    ),
    "attempts without bound": Bad(
        table(
            VALIDATE, line("r", ask=RegisterSamples, undo=WithdrawSamples, undo_retry=Retry(10**6))
        ),
        "step r: undo_retry has 1000000 attempts",
    ),
    "a negative pause": Bad(
        table(line("validate", ask=ValidateManifest, kind=QUERY, retry=Retry(3, -1))),
        "pauses that are not negative",
    ),
    "a required field that nothing fills": Bad(
        table(STORE, MARK),
        "step mark: sample.mark_stored needs 'rows', which nothing fills",
    ),
    "an undo that nothing fills": Bad(
        table(
            line(
                "reserve", ask=ReservePositions, undo=WithdrawSamples, given={"rows": start("file")}
            )
        ),
        "step reserve: sample.withdraw_many needs 'rows', which nothing fills",
    ),
    "an undo that only its own answer fills": Bad(
        table(line("validate", ask=ValidateManifest, undo=WithdrawSamples)),
        "step validate: its undo needs 'rows', which only its own answer gives",
    ),
    "a given that the command lacks": Bad(
        table(line("validate", ask=ValidateManifest, kind=QUERY, given={"colour": 1})),
        "step validate: given fills 'colour', and template.validate_manifest has no such field",
    ),
    "a reference to a later step": Bad(
        table(
            line(
                "early",
                ask=ConfirmPositions,
                kind=QUERY,
                given={"submission_id": out("validate.submission_id")},
            ),
            VALIDATE,
        ),
        "it reads validate.submission_id, and that step comes later. Read from: start.",
    ),
    "a reference to no step": Bad(
        table(
            line(
                "store",
                ask=ConfirmPositions,
                kind=PIVOT,
                given={"submission_id": out("vaildate.submission_id")},
            )
        ),
        "it reads vaildate.submission_id, and there is no such step.",
    ),
    "a reference to an unknown field": Bad(
        table(
            VALIDATE,
            line(
                "register",
                ask=RegisterSamples,
                undo=WithdrawSamples,
                given={"rows": out("validate.lines")},
            ),
        ),
        "it reads validate.lines, and there is no field 'lines'. There is: submission_id, rows",
    ),
    "a reference into nothing": Bad(
        table(
            line(
                "store",
                ask=ConfirmPositions,
                kind=PIVOT,
                given={"submission_id": start("file.name.size")},
            )
        ),
        "it reads start.file.name.size, and there is no field 'size'",
    ),
    "a reference to an optional step": Bad(
        table(
            STORE,
            line("told", ask=SendNotification, kind=RETRIABLE, optional=True, given=NOTIFY),
            line(
                "again",
                ask=SendNotification,
                kind=RETRIABLE,
                given={**NOTIFY, "values": {"title": out("told.title")}},
            ),
        ),
        "notification.send.values: it reads the answer of told, and that step is optional",
    ),
    "a value of another shape": Bad(
        table(
            VALIDATE,
            line(
                "register",
                ask=RegisterSamples,
                undo=WithdrawSamples,
                given={"rows": out("validate.accepted")},
            ),
        ),
        "it reads validate.accepted, which may be int where FileRef is wanted",
    ),
    "a number among words": Bad(
        table(
            VALIDATE,
            STORE,
            line(
                "told",
                ask=SendNotification,
                kind=RETRIABLE,
                given={**NOTIFY, "values": {"n": out("validate.accepted")}},
            ),
        ),
        "it reads validate.accepted, which may be int where str is wanted",
    ),
    "a sentence about what may be missing": Bad(
        table(
            STORE,
            line(
                "told",
                ask=SendNotification,
                kind=RETRIABLE,
                given={**NOTIFY, "values": {"sheet": text("{}", start("sheet"))}},
            ),
        ),
        "it reads start.sheet, which may be",
    ),
    "a blank without a reference": Bad(
        table(
            STORE,
            line(
                "told",
                ask=SendNotification,
                kind=RETRIABLE,
                given={**NOTIFY, "values": {"n": text("{} of {}", SAGA_ID)}},
            ),
        ),
        "the text has 2 blank(s) and 1 reference(s)",
    ),
    "a field by name of another shape": Bad(
        table(
            line(
                "box", ask=AddContainer, kind=QUERY, given={"kind": "box", "name": start("partial")}
            )
        ),
        "it reads start.partial, which may be bool where str is wanted",
    ),
}
