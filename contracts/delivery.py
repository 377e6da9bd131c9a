"""Delivery: results on their way to whoever asked for them.

The service that owns this command does not stand yet. It is what sagas will ask of it. There is no
HTTP here.
"""

from contracts.message import Command
from contracts.types import FileRef, Name, SubmissionId, UtcTime, View


class RunDelivered(View):
    """What was handed over of a run."""

    submission_id: SubmissionId
    files: int
    manifest: FileRef
    """Every file with its checksum."""
    available_until: UtcTime | None = None


class DeliverRun(Command[RunDelivered], type="delivery.deliver_run"):
    """Hand the results of a run over, with checksums; once for each process."""

    submission_id: SubmissionId
    run: Name
    report: FileRef
    """What quality control said of it."""
