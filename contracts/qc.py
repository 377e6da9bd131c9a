"""Quality control: the gates that a run must pass, and the verdict on it.

The service that owns these commands does not stand yet. They are what sagas will ask of it. There
is no HTTP here.
"""

from pydantic import Field

from contracts.message import Command
from contracts.sequencing import Verdict
from contracts.types import FileRef, Name, SubmissionId, View


class GateChecked(View):
    """What one gate says of a run: a gate that is missed is an answer, and no refusal."""

    gate: Name
    passed: bool
    findings: list[str] = Field(default_factory=list[str])
    """What was measured where the gate was missed, and what was wanted."""


class VerdictGiven(View):
    """What quality control says of a run."""

    submission_id: SubmissionId
    verdict: Verdict
    in_doubt: bool
    """Whether the gates do not agree, so that a person has to decide instead."""
    report: FileRef
    """Every gate with its findings, for people to read."""


class VerdictWithdrawn(View):
    """A verdict that counts no more."""

    submission_id: SubmissionId


class CheckYield(Command[GateChecked], type="qc.check_yield"):
    """Compare clusters that passed the filter, and reads of each sample, with what was wanted."""

    submission_id: SubmissionId
    run: Name
    metrics: FileRef


class CheckQuality(Command[GateChecked], type="qc.check_quality"):
    """Compare the share of bases at Q30 and the error rate with what was wanted."""

    submission_id: SubmissionId
    run: Name
    metrics: FileRef


class CheckAssignment(Command[GateChecked], type="qc.check_assignment"):
    """Compare the share of reads without a sample with what is tolerated; name stray indexes."""

    submission_id: SubmissionId
    run: Name
    metrics: FileRef


class GiveVerdict(Command[VerdictGiven], type="qc.give_verdict"):
    """Weigh the gates of a run, and say whether a person has to decide."""

    submission_id: SubmissionId
    run: Name
    yield_passed: bool
    quality_passed: bool
    assignment_passed: bool


class WithdrawVerdict(Command[VerdictWithdrawn], type="qc.withdraw_verdict"):
    """Let the verdict of a process count no more; fine where it gave none."""

    submission_id: SubmissionId
