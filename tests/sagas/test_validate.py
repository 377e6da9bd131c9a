"""Definitions that can work, and a corpus of those that cannot, told what is wrong and where."""

import linecache
from collections.abc import Iterator
from datetime import timedelta
from time import process_time

import pytest

from contracts.template import ValidateManifest
from sagas.definitions import ALL, UnknownDefinitionError, find
from sagas.engine.conditions import all_of, equals, exceeds, exists, no
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry
from sagas.engine.fields import fits
from sagas.engine.mapping import first_of, out, start
from sagas.engine.validate import InvalidDefinitionError, checked, validate
from sagas.engine.writing import approval, child, days, parallel, saga, seconds, step, wait
from tests.sagas.bad_definitions import (
    children,
    conditions,
    groups,
    lines,
    repetition,
    waits,
    whole,
)
from tests.sagas.bad_definitions.bad import AFTER, DO, PASS, REVIEW, Bad, line, table
from tests.sagas.commands import Ask, Begin, Do, Label, Nothing, Review, Undo, listed

CORPUS: dict[str, Bad] = {
    name: bad
    for part in (lines, conditions, waits, groups, children, repetition, whole)
    for name, bad in part.BAD.items()
}
RISKY = equals(start("risky"), value=True)
SECOND = line("second", ask=Review, kind=QUERY, when=RISKY)
UNDOABLE = saga("undoable", version=1, starts_with=Begin)(REVIEW, DO)
FINAL = saga("final", version=1, starts_with=Begin)(DO, PASS)
LOOKED_UP = saga("looked_up", version=1, starts_with=Begin)(REVIEW)

GOOD = {
    "the intake up to its pivot": lines.table(
        lines.VALIDATE, lines.REGISTER, lines.RESERVE, lines.STORE, lines.MARK
    ),
    "without a pivot": lines.table(lines.VALIDATE, lines.REGISTER, lines.RESERVE),
    "one query": lines.table(lines.VALIDATE),
    "one pivot": lines.table(lines.STORE),
    "steps at once": table(REVIEW, parallel(DO, line("other", ask=Do, undo=Undo)), PASS),
    "steps at once after the pivot": table(
        PASS, parallel(AFTER, line("last", ask=Do, kind=RETRIABLE))
    ),
    "a step that may not be needed": table(
        REVIEW,
        line("do", ask=Do, undo=Undo, when=equals(out("review.decision"), "release")),
        line("more", ask=Do, undo=Undo, when=exceeds(out("review.volume_ul"), 10)),
        line("less", ask=Do, undo=Undo, when=no(exists(out("review.remark")))),
    ),
    "what was skipped is read where it was not": table(
        SECOND,
        line("same", ask=Label, undo=Undo, when=RISKY, given={"decision": out("second.decision")}),
        line(
            "also",
            ask=Label,
            undo=Undo,
            when=all_of(equals(start("amount"), 3), exists(out("second.lot"))),
            given={"decision": out("second.decision")},
        ),
        line(
            "either",
            ask=Label,
            undo=Undo,
            given={"decision": first_of(out("second.decision"), start("lot"))},
        ),
        line(
            "unsaid",
            ask=Label,
            undo=Undo,
            given={"decision": start("lot"), "hint": out("second.decision")},
        ),
    ),
    "signals": table(
        REVIEW,
        approval(
            "agree", needs=2, within=days(7), allowed=out("review.reviewers"), not_starter=True
        ),
        wait("scan", signal="scanned", data=Review, within=days(1)),
        parallel(
            approval("left", signal="left", within=days(1), allowed=out("agree.by")),
            approval("right", signal="right", within=days(1), allowed=["ada"], denial_ends=False),
        ),
        PASS,
        wait(
            "fetched", signal="fetched", data=Nothing, kind=RETRIABLE, within=days(1), optional=True
        ),
        approval("closing", kind=RETRIABLE, within=days(1), denial_ends=False),
    ),
    "sagas within sagas": table(
        child("look", saga=LOOKED_UP, kind=QUERY, within=seconds(60)),
        child(
            "pack", saga=UNDOABLE, within=seconds(60), given={"lot": out("look.steps.review.lot")}
        ),
        child("ship", saga=FINAL, within=seconds(60)),
        child("after", saga=FINAL, kind=RETRIABLE, within=seconds(60)),
        line(
            "label",
            ask=Label,
            kind=RETRIABLE,
            given={
                "lot": out("pack.transaction_id"),
                "decision": out("look.steps.review.decision"),
            },
        ),
    ),
    "steps that cannot be repeated": table(
        line("once", ask=Do, undo=Undo, idempotent=False, retry=Retry(1)),
        line("probed", ask=Do, undo=Undo, idempotent=False, probe=Ask),
        line("final", ask=Do, kind=PIVOT, idempotent=False, probe=Ask),
    ),
    "refusals that pass": table(
        line(
            "do",
            ask=Do,
            undo=Undo,
            retry=Retry(5, also=("storage.no_room",), never=("service.unexpected",)),
        )
    ),
    "a deadline, and what it is found by": saga(
        "trial",
        version=1,
        starts_with=Begin,
        within=seconds(120),
        attributes={"lot": start("lot"), "risky": start("risky")},
    )(parallel(DO, REVIEW), line("last", ask=Do, undo=Undo)),
} | {one.saga_type: one for one in ALL}


@pytest.fixture(autouse=True)
def commands() -> Iterator[None]:
    """Let the trial's commands be listed."""
    with listed():
        yield


@pytest.mark.parametrize("definition", GOOD.values(), ids=GOOD.keys())
def test_a_definition_that_can_work_has_no_faults(definition: Definition) -> None:
    """The lab's own tables are among them."""
    assert list(map(str, validate(definition))) == []


@pytest.mark.parametrize("bad", CORPUS.values(), ids=CORPUS.keys())
def test_a_definition_that_cannot_work_is_told_what_is_wrong_and_where(bad: Bad) -> None:
    """Exactly one fault is found; it says file and line, what is wrong, and how to mend it."""
    (found,) = validate(bad.definition)
    assert bad.fault in str(found)
    assert found.remedy
    assert str(found).startswith(f"{found.place.file}:{found.place.line}: ")
    assert found.place.file.startswith("tests/sagas/bad_definitions/")
    written = "".join(
        linecache.getline(found.place.file, found.place.line + further) for further in (0, 1)
    )
    assert (bad.marked or f'"{found.step}"') in written


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    """Every rule has an entry at least, and names are not lost between tables."""
    assert len(CORPUS) == sum(
        len(part.BAD) for part in (lines, conditions, waits, groups, children, repetition, whole)
    )
    assert len(CORPUS) >= 80


def test_every_fault_is_listed_at_once_with_the_place_of_each_line() -> None:
    """Nobody mends a table one error at a time."""
    mark = lines.MARK
    nameless = step("validate", ask=ValidateManifest, kind=QUERY)
    with pytest.raises(InvalidDefinitionError) as raised:
        checked(lines.table(mark, nameless))
    listing = str(raised.value).splitlines()
    assert listing[0].startswith("saga intake version 1 (tests/sagas/bad_definitions/lines.py:")
    assert [text.strip().split(": ")[:2] for text in listing[1:]] == [
        [f"tests/sagas/bad_definitions/lines.py:{mark.place.line}", "step mark"],
        [f"tests/sagas/bad_definitions/lines.py:{mark.place.line}", "step mark"],
        [f"tests/sagas/test_validate.py:{nameless.place.line}", "step validate"],
    ]


def test_the_courses_of_thirty_steps_are_walked_within_a_second() -> None:
    """Groups, conditions, signals, probes and children are among them, and a deadline."""
    before = [
        part
        for number in range(4)
        for part in (
            line(f"look_{number}", ask=Review, kind=QUERY),
            parallel(*(line(f"do_{number}_{n}", ask=Do, undo=Undo) for n in range(3))),
            approval(f"agree_{number}", needs=3, within=days(1)),
            child(f"pack_{number}", saga=UNDOABLE, within=seconds(60), when=RISKY),
        )
    ]
    after = [line(f"after_{number}", ask=Do, kind=RETRIABLE, when=RISKY) for number in range(5)]
    definition = saga("long", version=1, starts_with=Begin, within=timedelta(days=30))(
        *before, PASS, *after
    )
    assert len(definition.steps) == 30
    began = process_time()
    assert list(map(str, validate(definition))) == []
    assert process_time() - began < 1


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
