"""Definitions that cannot work, each with the fault that names the step and the remedy."""

from functools import partial

import pytest

from contracts.message import Command
from contracts.notification import SendNotification
from contracts.sample import MarkSamplesStored, RegisterSamples, WithdrawSamples
from contracts.storage import AddContainer, ConfirmPositions, ReleasePositions, ReservePositions
from contracts.template import ValidateManifest
from contracts.transaction import SubmitManifest
from contracts.types import View
from sagas.definitions import ALL, UnknownDefinitionError, find
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry, Step
from sagas.engine.fields import fits
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.validate import InvalidDefinitionError, checked, validate
from sagas.engine.writing import saga, seconds, step


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

GOOD = [
    table(VALIDATE, REGISTER, RESERVE, STORE, MARK),
    table(VALIDATE, REGISTER, RESERVE),
    table(VALIDATE),
    table(STORE),
    *ALL,
]

BAD = {
    "no steps": (table(), "it has no steps"),
    "no such start": (
        saga("intake", version=1, starts_with=Unlisted)(STORE),
        "no command of the catalog is Unlisted",
    ),
    "same name twice": (table(VALIDATE, VALIDATE), "step validate: another step has this name"),
    "a name with a dot": (
        table(line("va.lidate", ask=ValidateManifest, kind=QUERY)),
        "Use letters, digits and underscores",
    ),
    "an unknown command": (
        table(line("odd", ask=Unlisted, kind=QUERY)),
        "step odd: no command of the catalog is Unlisted",
    ),
    "compensatable after the pivot": (
        table(VALIDATE, STORE, RESERVE),
        "step reserve: it is compensatable and stands after the pivot",
    ),
    "a query after the pivot": (
        table(STORE, VALIDATE),
        "step validate: it is a query after the pivot",
    ),
    "two pivots": (
        table(STORE, line("again", ask=ConfirmPositions, kind=PIVOT)),
        "step again: it is the second pivot",
    ),
    "retriable before the pivot": (
        table(VALIDATE, MARK, STORE),
        "step mark: it is retriable and stands before the pivot",
    ),
    "compensatable without undo": (
        table(VALIDATE, line("register", ask=RegisterSamples)),
        "step register: it is compensatable and has no undo",
    ),
    "a query with undo": (
        table(line("validate", ask=ValidateManifest, kind=QUERY, undo=ReleasePositions)),
        "step validate: it is a query and has an undo",
    ),
    "a retriable with undo": (
        table(
            VALIDATE,
            STORE,
            line("mark", ask=MarkSamplesStored, kind=RETRIABLE, undo=ReleasePositions),
        ),
        "step mark: it is a retriable and has an undo",
    ),
    "an optional pivot": (
        table(line("store", ask=ConfirmPositions, kind=PIVOT, optional=True)),
        "step store: it is optional and a pivot",
    ),
    "no deadline": (
        table(step("validate", ask=ValidateManifest, kind=QUERY)),
        "step validate: it has no deadline",
    ),
    "no attempts": (
        table(line("validate", ask=ValidateManifest, kind=QUERY, retry=Retry(0))),
        "step validate: retry has 0 attempts",
    ),
    "attempts without bound": (
        table(
            VALIDATE, line("r", ask=RegisterSamples, undo=WithdrawSamples, undo_retry=Retry(10**6))
        ),
        "step r: undo_retry has 1000000 attempts",
    ),
    "a negative pause": (
        table(line("validate", ask=ValidateManifest, kind=QUERY, retry=Retry(3, -1))),
        "pauses that are not negative",
    ),
    "a required field that nothing fills": (
        table(STORE, MARK),
        "step mark: sample.mark_stored needs 'rows', which nothing fills",
    ),
    "an undo that nothing fills": (
        table(
            line(
                "reserve", ask=ReservePositions, undo=WithdrawSamples, given={"rows": start("file")}
            )
        ),
        "step reserve: sample.withdraw_many needs 'rows', which nothing fills",
    ),
    "an undo that only its own answer fills": (
        table(line("validate", ask=ValidateManifest, undo=WithdrawSamples)),
        "step validate: its undo needs 'rows', which only its own answer gives",
    ),
    "a given that the command lacks": (
        table(line("validate", ask=ValidateManifest, kind=QUERY, given={"colour": 1})),
        "step validate: given fills 'colour', and template.validate_manifest has no such field",
    ),
    "a reference to a later step": (
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
    "a reference to no step": (
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
    "a reference to an unknown field": (
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
    "a reference into nothing": (
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
    "a reference to an optional step": (
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
        "step again: notification.send.values: it reads told.title, and that step is optional",
    ),
    "a value of another shape": (
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
    "a number among words": (
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
    "a sentence about what may be missing": (
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
    "a blank without a reference": (
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
    "a field by name of another shape": (
        table(
            line(
                "box", ask=AddContainer, kind=QUERY, given={"kind": "box", "name": start("partial")}
            )
        ),
        "it reads start.partial, which may be bool where str is wanted",
    ),
}


@pytest.mark.parametrize("definition", GOOD, ids=lambda d: "-".join(d.by_name))
def test_a_definition_that_can_work_has_no_faults(definition: Definition) -> None:
    """The lab's own tables are among them."""
    assert validate(definition) == []


@pytest.mark.parametrize(("definition", "fault"), BAD.values(), ids=BAD.keys())
def test_a_definition_that_cannot_work_is_told_what_is_wrong(
    definition: Definition, fault: str
) -> None:
    """Exactly one fault is found, and it says where, what and how to mend it."""
    (found,) = validate(definition)
    assert fault in str(found)
    assert found.remedy


def test_every_fault_is_listed_at_once_with_the_place_of_the_table() -> None:
    """Nobody mends a table one error at a time."""
    with pytest.raises(InvalidDefinitionError) as raised:
        checked(table(MARK, step("validate", ask=ValidateManifest, kind=QUERY)))
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("saga intake version 1 (tests/sagas/test_validate.py:")
    assert [line.strip().split(":")[0] for line in lines[1:]] == [
        "step mark",
        "step mark",
        "step validate",
    ]


def test_an_unknown_definition_names_those_that_there_are() -> None:
    """Whoever asks for a version that is gone learns what there is."""
    assert find("sample_intake", 1) is ALL[0]
    with pytest.raises(UnknownDefinitionError, match="there is: sample_intake version 1"):
        find("sample_intake", 2)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (int, int, True),
        (bool, str, False),
        (str, str | None, True),
        (str | None, str, False),
        (str | None, str | None, True),
        (list[str], list[str], True),
        (list[int], list[str], False),
        (list[str], str, False),
    ],
)
def test_a_value_fits_where_its_shape_is_wanted(
    source: object,
    target: object,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What may be missing fits only where missing is allowed."""
    assert fits(source, target) is expected
