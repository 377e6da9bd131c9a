# ruff: noqa: S311 - chance is repeatable here, and no secret
"""What replay notices: every change of a definition that matters, and none that does not.

A thousand sagas go their ways by chance; then the table is changed, once at a time, and every
history is decided anew under the changed one.
"""

import importlib.util
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from contracts.entry import Entry
from contracts.errors import NotFound, Unavailable
from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from sagas.engine.conditions import Condition, equals, exists, no
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry, Step, StepKind
from sagas.engine.mapping import out, start
from sagas.engine.state import fold
from sagas.engine.writing import Parallel, approval, days, parallel, saga, seconds, step
from sagas.replay.confirm import confirmed
from sagas.replay.replay import walk
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Ask, Begin, Do, Label, Review, Undo

SEED: Final = 20_261_122
HISTORIES: Final = 1_000
MUTANTS: Final = 240
MUTANTS_MIN: Final = 200
REFACTORINGS: Final = 50
INPUTS_MAX: Final = 60
PEOPLE: Final[Sequence[str]] = ("anna", "ben", "carla", "ada")
REFUSED = NotFound(what="lot", key="L1")
UNWELL = Unavailable(what="the register")
NOT_FOUND, UNAVAILABLE = REFUSED.spec.code, UNWELL.spec.code

# One step per line, so that the saga reads as a table.
# fmt: off
TRIAL = saga("trial", version=1, starts_with=Begin, within=days(2), attributes={"lot": start("lot")})(  # noqa: E501 - one line per step
    step("look",   ask=Review, kind=QUERY,           within=seconds(10)),
    parallel(
        step("left",  ask=Do, undo=Undo,             within=seconds(10)),
        step("right", ask=Do, undo=Undo,             within=seconds(20), retry=Retry(2), undo_retry=Retry(2)),  # noqa: E501 - as above
    ),
    step("weigh",  ask=Do, undo=Undo,                within=seconds(10), probe=Ask, retry=Retry(2)),
    approval("agree", needs=2, allowed=start("people"), not_starter=True, within=days(1), when=equals(out("look.decision"), "release")),  # noqa: E501 - as above
    step("send",   ask=Do, kind=PIVOT,               within=seconds(10), retry=Retry(2)),
    step("label",  ask=Label, kind=RETRIABLE,        within=seconds(10), retry=Retry(3), given={"decision": out("look.decision"), "hint": "dry"}),  # noqa: E501 - as above
    step("tell",   ask=Do, kind=RETRIABLE,           within=seconds(10), retry=Retry(2), optional=True, when=exists(start("people"))),  # noqa: E501 - as above
)
# fmt: on
STAGES: Final = TRIAL.stages


# Histories


def course(number: int) -> list[Entry]:
    """Let one saga go its way by chance."""
    dice = random.Random(SEED + number)
    people: list[str] = [*PEOPLE] if dice.random() < 0.85 else []
    log = Chronicle(TRIAL, Begin(lot=f"L{number}", people=people))
    log.begin()
    for _ in range(INPUTS_MAX):
        if log.status().ended and log.status() is not TransactionStatus.FAILED:
            break
        if log.status() is TransactionStatus.FAILED and dice.random() < 0.1:
            break
        _happen(log, dice)
    return log.entries


def _happen(log: Chronicle, dice: random.Random) -> None:
    chance = dice.random()
    if log.status() is TransactionStatus.PAUSED:
        log.order(OrderKind.RESUME)
    elif log.status() is TransactionStatus.FAILED:
        _mend(log, dice)
    elif chance < 0.02:
        log.order(dice.choice([OrderKind.PAUSE, OrderKind.CANCEL]))
    elif chance < 0.025 and log.saga.timer is not None:
        log.deadline()
    else:
        names = [name for name, stands in log.saga.steps.items() if stands.outstanding]
        _go_on(log, dice.choice(names), dice)


def _go_on(log: Chronicle, name: str, dice: random.Random) -> None:
    stands, chance = log.saga.steps[name], dice.random()
    if stands.status is StepStatus.AWAITING:
        if chance < 0.1:
            log.due(name)
        else:
            log.approve(dice.choice(PEOPLE), approved=chance < 0.9)
    elif stands.postponed:
        log.due(name)
    elif stands.probe_id is not None and chance < 0.8:
        log.probed(name, done=dice.choice([True, False, None]))
    elif chance < 0.16:
        log.due(name)
    elif chance < 0.28:
        log.reply(name, refusal=UNWELL)
    elif chance < 0.34:
        log.reply(name, refusal=REFUSED)
    else:
        review = {"lot": "L1", "decision": dice.choice(["release", "release", "discard"])}
        log.reply(name, result=review if name == "look" else {})


def _mend(log: Chronicle, dice: random.Random) -> None:
    orders = [OrderKind.RETRY, OrderKind.SKIP, OrderKind.COMPLETE, OrderKind.COMPENSATE]
    stuck = [n for n, one in log.saga.steps.items() if one.status is StepStatus.STUCK]
    log.order(dice.choice(orders), step=dice.choice(stuck))


@pytest.fixture(scope="module")
def histories() -> Sequence[Sequence[Entry]]:
    """Give every history, in an order of chance."""
    made = [course(number) for number in range(HISTORIES)]
    random.Random(SEED).shuffle(made)
    return made


def differs(histories: Sequence[Sequence[Entry]], changed: Definition) -> bool:
    """Say whether any history comes out otherwise under the changed table."""

    def find(saga_type: str, version: int) -> Definition:
        del saga_type, version
        return changed

    for entries in histories:
        if any(one is not None for one in walk(entries, find)):
            # What compares bytes must never take it for the same.
            assert confirmed(exported(entries), find) is None
            return True
    return False


def exported(entries: Sequence[Entry]) -> dict[str, Any]:
    """Give a history as it is exported."""
    return {
        "transaction_id": "trial",
        "entries": [{"seq": one.seq, "body": one.to_bytes().decode()} for one in entries],
    }


# Changes that matter


def remade(stages: Sequence[Sequence[Step]], **head: Any) -> Definition:  # noqa: ANN401 - what a saga says
    """Make a definition of changed stages, or with a changed head."""
    said: dict[str, Any] = {"within": days(2), "attributes": {"lot": start("lot")}, **head}
    parts = [Parallel(tuple(stage)) if len(stage) > 1 else stage[0] for stage in stages if stage]
    return saga("trial", version=1, starts_with=Begin, **said)(*parts)


def with_step(which: str, /, **changed: Any) -> Definition:  # noqa: ANN401 - any field of a step
    """Change one step."""
    return remade(
        [[replace(one, **changed) if one.name == which else one for one in s] for s in STAGES]
    )


def mutants() -> Iterator[tuple[str, Definition]]:
    """Make every change, each with what it is called."""
    for one in TRIAL.steps:
        for field, values in _values(one):
            for value in values:
                yield f"{one.name}: {field} is {value}", with_step(one.name, **{field: value})
        rest = [[other for other in stage if other is not one] for stage in STAGES]
        if one.name != "look":
            yield f"without {one.name}", remade(rest)
    for first in range(len(STAGES) - 1):
        swapped = list(STAGES)
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        yield f"stages {first} and {first + 1} swapped", remade(swapped)
    apart = [[one] for stage in STAGES for one in stage]
    yield "nothing at once", remade(apart)
    yield "three at once", remade([STAGES[0], (*STAGES[1], *STAGES[2]), *STAGES[3:]])
    yield "no deadline", remade(STAGES, within=seconds(0))
    for hours in (1, 24, 47, 49, 96):
        yield f"within {hours} hours", remade(STAGES, within=seconds(hours * 3600))
    yield "no attributes", remade(STAGES, attributes={})
    yield "another attribute", remade(STAGES, attributes={"lot": start("amount")})
    yield "an attribute renamed", remade(STAGES, attributes={"batch": start("lot")})


def _values(one: Step) -> Iterator[tuple[str, Sequence[object]]]:
    """Say what each field of a step is changed to."""
    yield "within", [one.within * factor for factor in (0.5, 0.7, 0.9, 1.1, 2, 3, 5)]
    yield "name", [f"{one.name}_again"] if one.name != "look" else []
    if one.awaited is None:
        retry = one.retry
        attempts = [n for n in (1, 2, 3, 4) if n != retry.attempts]
        yield "retry", [replace(retry, attempts=n) for n in attempts]
        yield "retry", [replace(retry, backoff_seconds=n) for n in (0.5, 2.0)]
        yield "retry", [replace(retry, jitter=n) for n in (0.0, 0.3)]
        yield "retry", [replace(retry, also=(NOT_FOUND,)), replace(retry, never=(UNAVAILABLE,))]
    if one.undo is not None:
        undo = one.undo_retry
        yield "undo_retry", [replace(undo, backoff_seconds=2.0), replace(undo, jitter=0.0)]
        yield "undo_retry", [replace(undo, attempts=1)]
        yield "undo", [None, Do]
    kinds: dict[str, Sequence[StepKind]] = {"label": (PIVOT,), "send": (RETRIABLE, QUERY)}
    yield "kind", kinds.get(one.name, ())
    yield "when", list(_conditions(one))
    yield "optional", [True] if one.name == "label" else [False] if one.optional else []
    if one.probe is not None:
        yield "probe", [None]
        yield "idempotent", [False]
    if one.awaited is not None:
        waits = one.awaited
        yield "awaited", [replace(waits, needs=n) for n in (1, 3)]
        yield "awaited", [replace(waits, allowed=None), replace(waits, not_starter=False)]
        yield "awaited", [replace(waits, denial_ends=False), replace(waits, signal="consent")]
    if one.name == "label":
        yield "given", [{"decision": start("lot")}, {"decision": "release", "hint": "dry"}]
        yield "given", [{"decision": out("look.decision")}, {**one.given, "lot": "L0"}]
    if one.ask is Do:
        yield "ask", [Undo]


def _conditions(one: Step) -> Iterator[Condition | None]:
    if one.name == "look":
        return
    if one.when is not None:
        yield None
        yield no(one.when)
    else:
        yield exists(start("people"))
    yield equals(out("look.decision"), "discard")
    yield equals(start("risky"), value=True)


def test_replay_notices_what_changes_the_way_of_any_saga(
    histories: Sequence[Sequence[Entry]], capsys: pytest.CaptureFixture[str]
) -> None:
    """At least 19 of 20 changes are found, and what is not found is named."""
    ends = Counter(state.status for entries in histories if (state := fold(entries)))
    assert min(ends[one] for one in TransactionStatus if one.ended) >= HISTORIES / 100
    every = list(mutants())
    assert len(every) >= MUTANTS_MIN
    chosen = random.Random(SEED).sample(every, k=min(len(every), MUTANTS))
    missed = [name for name, changed in chosen if not differs(histories, changed)]
    with capsys.disabled():
        found = len(chosen) - len(missed)
        print(f"\n{found} of {len(chosen)} changes found; not: {missed}")  # noqa: T201 - the result
    assert not differs(histories, TRIAL)
    assert all(confirmed(exported(one), lambda _type, _version: TRIAL) for one in histories)
    assert len(missed) <= len(chosen) * 0.05


# Changes that do not


LINES: Final[Sequence[tuple[str, dict[str, str]]]] = (
    ("step", {"name": "'look'", "ask": "Review", "kind": "QUERY", "within": "10"}),
    ("left", {"name": "'left'", "ask": "Do", "undo": "Undo", "within": "10"}),
    (
        "right",
        {
            "name": "'right'",
            "ask": "Do",
            "undo": "Undo",
            "within": "20",
            "retry": "Retry(2)",
            "undo_retry": "Retry(2)",
        },
    ),
    (
        "step",
        {
            "name": "'weigh'",
            "ask": "Do",
            "undo": "Undo",
            "within": "10",
            "probe": "Ask",
            "retry": "Retry(2)",
        },
    ),
    (
        "approval",
        {
            "name": "'agree'",
            "needs": "2",
            "allowed": "start('people')",
            "not_starter": "True",
            "within": "86400",
            "when": "equals(out('look.decision'), 'release')",
        },
    ),
    (
        "step",
        {"name": "'send'", "ask": "Do", "kind": "PIVOT", "within": "10", "retry": "Retry(2)"},
    ),
    (
        "step",
        {
            "name": "'label'",
            "ask": "Label",
            "kind": "RETRIABLE",
            "within": "10",
            "retry": "Retry(3)",
            "given": "{'decision': out('look.decision'), 'hint': 'dry'}",
        },
    ),
    (
        "step",
        {
            "name": "'tell'",
            "ask": "Do",
            "kind": "RETRIABLE",
            "within": "10",
            "retry": "Retry(2)",
            "optional": "True",
            "when": "exists(start('people'))",
        },
    ),
)
SAYINGS: Final = {
    "Retry(2)": ("Retry(attempts=2)", "Retry(2, backoff_seconds=1)", "Retry(2, jitter=0.1)"),
    "Retry(3)": ("Retry(attempts=3)", "Retry(3, also=())", "Retry(1 + 2)"),
    "{'decision': out('look.decision'), 'hint': 'dry'}": (
        "{'hint': 'dry', 'decision': out('look.decision')}",
        "dict(hint='dry', decision=out('look.decision'))",
        "{'hint': 'd' + 'ry', **{'decision': out('look.decision')}}",
    ),
    "equals(out('look.decision'), 'release')": (
        "one_of(out('look.decision'), 'release')",
        "equals(out('.'.join(('look', 'decision'))), 'release')",
    ),
}
IMPORTS: Final = """
from datetime import timedelta
from sagas.engine.conditions import equals, exists, one_of
from sagas.engine.definition import COMPENSATABLE, PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.mapping import out, start
from sagas.engine.writing import approval, days, minutes, parallel, saga, seconds, step
from tests.sagas.commands import Ask, Begin, Do, Label, Review, Undo
"""


def written(dice: random.Random) -> str:
    """Write the same table in another way: order, spacing, names and spelling of the same."""
    names: list[str] = []
    calls: list[str] = []
    for number, (kind, said) in enumerate(LINES):
        words = [f"{word}={_spelt(word, value, dice)}" for word, value in said.items()]
        dice.shuffle(words)
        call = f"{'approval' if kind == 'approval' else 'step'}({', '.join(words)})"
        if dice.random() < 0.4:
            names.append(f"line_{number} = {call}" + "\n" * dice.randrange(4))
            call = f"line_{number}"
        calls.append(call)
    both = f"parallel({calls[1]},{' ' * dice.randrange(5)}{calls[2]})"
    parts = f",{dice.choice([' ', '  # as ever', ''])}\n".join([calls[0], both, *calls[3:]])
    head = "'trial', version=1, starts_with=Begin, within=days(2), attributes={'lot': start('lot')}"
    return "\n".join([IMPORTS, *names, f"TABLE = saga({head})(", parts, ")", ""])


def _spelt(word: str, value: str, dice: random.Random) -> str:
    if word == "within":
        number = int(value)
        ways = [f"seconds({number})", f"timedelta(seconds={number})", f"minutes({number / 60!r})"]
        return dice.choice(ways)
    return dice.choice((value, *SAYINGS.get(value, ())))


def load(file: Path) -> ModuleType:
    """Load a module that was written."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_replay_is_quiet_where_only_the_writing_changed(
    histories: Sequence[Sequence[Entry]], tmp_path: Path
) -> None:
    """Fifty ways to write the same table: each has the same hash, and every history comes out."""
    texts = {written(random.Random(SEED + number)) for number in range(REFACTORINGS)}
    assert len(texts) == REFACTORINGS
    for number, text in enumerate(sorted(texts)):
        file = tmp_path / f"table_{number}.py"
        file.write_text(text, encoding="utf-8")
        table: Definition = load(file).TABLE
        assert table.hash == TRIAL.hash
        assert not differs(histories[number::REFACTORINGS], table)
