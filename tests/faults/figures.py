"""What a run of kills came to: what was lost or doubled, and how soon work went on. It is pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.faults.kills import Kill, Outcome
from tests.fixtures.ledger import Ledger, expect_consistent

RESUMED_SECONDS_TARGET = 2.0
"""From a kill to when work goes on, the process's own start included."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What must not be: every count is 0 where all is well."""

    lost: int
    """Submissions without a saga, and samples that should be stored and are not."""
    doubled: int
    """Stored submissions with two sagas, samples registered twice, news told twice."""
    unended: int
    dead: int
    """Dead letters."""
    otherwise: str
    """What else is not as it should be; empty where nothing is."""

    @property
    def none(self) -> bool:
        """Whether all is well."""
        return not (self.lost or self.doubled or self.unended or self.dead or self.otherwise)


def harm_of(outcome: Outcome) -> Harm:
    """Compare what the logs say with what was handed in."""
    ledger, expected = outcome.ledger, outcome.expected
    files = Counter(saga.file for saga in ledger.sagas.values())
    wanted = Counter(barcode for barcodes in expected.values() for barcode in barcodes)
    found = Counter(
        barcode
        for samples in ledger.registered.values()
        for sample_id, barcode in samples.items()
        if sample_id in ledger.stored
    )
    registered = Counter(
        barcode for samples in ledger.registered.values() for barcode in samples.values()
    )
    # What came to nothing may be submitted again, and is where the first answer was lost.
    stored = Counter(file for file in files.elements() if expected.get(file) != [])
    lost = (Counter(expected.keys()) - files) + (wanted - found)
    doubled = (stored - Counter(expected.keys())) + (registered - wanted)
    told = sum(max(0, ledger.told_of(saga) - 1) for saga in ledger.sagas.values())
    return Harm(
        lost=lost.total(),
        doubled=doubled.total() + told,
        unended=len(ledger.unended),
        dead=ledger.dead,
        otherwise=_otherwise(outcome),
    )


def _otherwise(outcome: Outcome) -> str:
    try:
        expect_consistent(outcome.ledger, outcome.expected)
    except AssertionError as error:
        return str(error) or "the logs contradict each other"
    return ""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from a kill until something held, over some kills."""

    p50: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Times | None":
        """Summarise; None where there are none."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        return cls(_rank(ordered, 0.5), _rank(ordered, 0.99), ordered[-1])

    def to_json(self) -> dict[str, float]:
        """Give it as a document."""
        return {
            "p50": round(self.p50, 3),
            "p99": round(self.p99, 3),
            "max": round(self.maximum, 3),
        }


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Resumed:
    """How soon what went on after the kills of one kind of process."""

    kind: str
    kills: int
    ready: Times | None
    """The process itself was ready."""
    first: Times | None
    """The first saga moved, whichever."""
    every: Times | None
    """Every saga that was under way at the kill had moved."""


def resumed(outcome: Outcome) -> list[Resumed]:
    """Measure how soon work went on, by the kind of the victim.

    A kill that comes before work went on after the one before is counted in both: times are
    upper bounds.
    """
    kinds = sorted({kill.kind for kill in outcome.kills})
    return [_of_kind(kind, outcome) for kind in kinds]


def _of_kind(kind: str, outcome: Outcome) -> Resumed:
    kills = [kill for kill in outcome.kills if kill.kind == kind]

    def times(until: Callable[[Kill, Ledger], datetime | None]) -> Times | None:
        ends = ((kill, until(kill, outcome.ledger)) for kill in kills)
        return Times.of((end - kill.killed_at) / timedelta(seconds=1) for kill, end in ends if end)

    return Resumed(
        kind=kind,
        kills=len(kills),
        ready=times(lambda kill, _: kill.ready_at),
        first=times(_first),
        every=times(_every),
    )


def _first(kill: Kill, ledger: Ledger) -> datetime | None:
    after = (at for saga in ledger.sagas.values() for at in saga.moved if at > kill.killed_at)
    return min(after, default=None)


def _every(kill: Kill, ledger: Ledger) -> datetime | None:
    nexts = (
        next(at for at in saga.moved if at > kill.killed_at)
        for saga in ledger.sagas.values()
        if saga.moved[0] <= kill.killed_at < saga.moved[-1]
    )
    return max(nexts, default=None)


def to_json(outcome: Outcome, seed: int) -> dict[str, Any]:
    """Give everything as a document."""
    harm = harm_of(outcome)
    return {
        "rounds": len(outcome.kills),
        "seed": seed,
        "submissions": len(outcome.expected),
        "sent_again": outcome.repeated,
        "lost": harm.lost,
        "doubled": harm.doubled,
        "unended": harm.unended,
        "dead_letters": harm.dead,
        "otherwise": harm.otherwise,
        "holds": harm.none,
        "resumed_seconds_target": RESUMED_SECONDS_TARGET,
        "resumed_seconds": {
            one.kind: {
                "kills": one.kills,
                **{
                    what: times.to_json()
                    for what, times in (
                        ("ready", one.ready),
                        ("first", one.first),
                        ("every", one.every),
                    )
                    if times is not None
                },
            }
            for one in resumed(outcome)
        },
    }


def in_words(outcome: Outcome, seed: int) -> str:
    """Say everything for people."""
    harm = harm_of(outcome)
    lines = [
        (
            f"{len(outcome.kills)} kills (seed {seed}), {len(outcome.expected)} submissions, "
            f"{outcome.repeated} times sent again: {harm.lost} lost, {harm.doubled} doubled, "
            f"{harm.unended} not ended, {harm.dead} dead letters"
        ),
        *([harm.otherwise] if harm.otherwise else []),
        "",
        f"seconds from the kill (p50 / p99 / max); work goes on: target {RESUMED_SECONDS_TARGET:g}",
        (
            f"{'victim':<14}{'kills':>5}  {'ready':>20}  {'first saga moves':>20}  "
            f"{'every saga moved':>20}"
        ),
    ]
    lines += [
        f"{one.kind:<14}{one.kills:>5}  {_shown(one.ready):>20}  {_shown(one.first):>20}  "
        f"{_shown(one.every):>20}"
        for one in resumed(outcome)
    ]
    return "\n".join(lines)


def _shown(times: Times | None) -> str:
    if times is None:
        return "-"
    return f"{times.p50:.2f} / {times.p99:.2f} / {times.maximum:.2f}"
