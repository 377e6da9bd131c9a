"""Which of many samples stand in the way of what is asked of all of them, and what helps.

Every sample is looked at before the first is touched, so that a refusal names them together.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from contracts.sample import NAMED_MAX, HoldKind, SampleProblem, SamplesRefused, SampleStatus
from contracts.types import SampleId
from services.sample.domain.life import NEXT, UNDISPOSABLE
from services.sample.domain.sample import Sample

Judge = Callable[[Sample], tuple[str, str] | None]
"""A sample that exists -> the problem with it and the remedy, or None where there is none."""


def refuse(
    found: Mapping[SampleId, Sample | None], asked: str, judge: Judge
) -> SamplesRefused | None:
    """Name the samples that cannot be `asked`: those nobody knows, and those judged unfit."""
    problems: list[SampleProblem] = []
    for sample_id, sample in found.items():
        if sample is None:
            problem, remedy = "It is not known.", "Check the id, or leave it out."
            problems.append(SampleProblem(sample_id=sample_id, problem=problem, remedy=remedy))
        elif (judged := judge(sample)) is not None:
            problems.append(
                SampleProblem(
                    sample_id=sample_id,
                    barcode=sample.details.barcode,
                    problem=judged[0],
                    remedy=judged[1],
                )
            )
    return _refused(asked, problems) if problems else None


def _refused(asked: str, problems: Sequence[SampleProblem]) -> SamplesRefused:
    first = problems[0]
    return SamplesRefused(
        asked=asked,
        count=len(problems),
        first=f"{first.barcode or first.sample_id}: {first.problem} {first.remedy}",
        problems=list(problems[:NAMED_MAX]),
    )


def any_sample(_: Sample) -> None:
    """Find nothing wrong with a sample that exists."""


def movable(sample: Sample) -> tuple[str, str] | None:
    """Say why there is no tube to carry."""
    return (f"It is {sample.status}.", "Leave it out.") if sample.gone else None


def disposable(despite: Collection[HoldKind]) -> Judge:
    """Judge whether samples may be destroyed, although holds of some kinds lie on them."""
    harmless = {HoldKind.DISPOSAL, *despite}

    def judge(sample: Sample) -> tuple[str, str] | None:
        if sample.gone:
            return f"It is {sample.status} already.", "Leave it out."
        if sample.status in UNDISPOSABLE:
            return f"It is {sample.status}.", "Wait until it is back, or record that it failed."
        for hold in sample.holds:
            if hold.kind not in harmless:
                problem = f"It is on hold ({hold.kind}: {hold.reason})."
                return problem, f"Have hold {hold.hold_id} cleared and released first."
        return None

    return judge


def discardable(sample: Sample) -> tuple[str, str] | None:
    """Say why a sample cannot be given up; one that is given up or gone already can."""
    by_steps = SampleStatus.DISCARDED in NEXT[sample.status]
    through_failure = sample.status is SampleStatus.IN_SEQUENCING
    if by_steps or through_failure or sample.gone or sample.status is SampleStatus.DISCARDED:
        return None
    return f"It is {sample.status}.", "Leave it out, or release it: a disposal destroys it."
