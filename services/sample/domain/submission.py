"""What a submission has registered so far, and that it is closed once it was withdrawn."""

from collections.abc import Sequence

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import SubmissionClosed, SubmissionRegistered, SubmissionWithdrawn
from contracts.types import SubmissionId, View


class Submission(View):
    """What a submission has registered so far; withdrawn for good once it is."""

    submission_id: SubmissionId
    samples: int
    withdrawn: bool


def evolve_submission(
    submission: Submission | None, event: Event, entry: Entry
) -> Submission | None:
    """Fold one event into a submission."""
    del entry
    match event:
        case SubmissionRegistered():
            before = submission.samples if submission else 0
            return Submission(
                submission_id=event.submission_id, samples=before + event.samples, withdrawn=False
            )
        case SubmissionWithdrawn():
            before = submission.samples if submission else 0
            return Submission(submission_id=event.submission_id, samples=before, withdrawn=True)
        case _:
            return submission


SUBMISSION = Aggregate("sample", "submission", Submission, evolve_submission)


def register_part(
    current: Submission | None, submission_id: SubmissionId, *, first_row: int, samples: int
) -> Sequence[Event] | Refusal:
    """Let a submission register some of its rows, unless it was withdrawn."""
    if current is not None and current.withdrawn:
        return SubmissionClosed(submission_id=submission_id)
    return [SubmissionRegistered(submission_id=submission_id, first_row=first_row, samples=samples)]


def withdraw_submission(current: Submission | None, submission_id: SubmissionId) -> Sequence[Event]:
    """Close a submission for good, so that a registration which comes late finds it closed."""
    if current is not None and current.withdrawn:
        return []
    return [SubmissionWithdrawn(submission_id=submission_id)]
