"""Sequencing: flow cells, sample sheets, the queue of the instruments, and runs that ended.

The service that owns these commands does not stand yet. They are what sagas will ask of it: each
goes by the process that asks, so that its undo needs nothing else. There is no HTTP here.
"""

from typing import Annotated, Literal

from pydantic import Field

from contracts.errors import Refusal
from contracts.library import LANES_MAX, PlannedLibraries
from contracts.message import Command
from contracts.types import Barcode, FileRef, Name, SubmissionId, UtcTime, Value, View

CYCLES_MAX = 600
"""Of one read."""
Cycles = Annotated[int, Field(ge=0, le=CYCLES_MAX)]
Verdict = Literal["passed", "failed"]
"""What is said of a run in the end."""


class ReadPlan(Value):
    """How many cycles each read of a run takes."""

    read1_cycles: Annotated[int, Field(ge=1, le=CYCLES_MAX)]
    read2_cycles: Cycles = 0
    index1_cycles: Cycles = 0
    index2_cycles: Cycles = 0


class RunEligible(View):
    """A run whose samples and instrument are fit for it."""

    submission_id: SubmissionId
    samples: int


class FlowCellTaken(View):
    """A flow cell that a run has for itself."""

    submission_id: SubmissionId
    flow_cell: Barcode
    lanes: Annotated[int, Field(ge=1, le=LANES_MAX)]


class SampleSheetWritten(View):
    """The sample sheet of a run."""

    submission_id: SubmissionId
    sheet: FileRef
    rows: int


class RunQueued(View):
    """A run that waits for its instrument."""

    submission_id: SubmissionId
    run: Name
    place: int
    """In the instrument's queue, from 1."""
    begins_at: UtcTime | None = None


class SamplesBegun(View):
    """How many samples are in sequencing now."""

    submission_id: SubmissionId
    samples: int


class RunFolderRead(View):
    """What an instrument left behind."""

    submission_id: SubmissionId
    run: Name
    metrics: FileRef
    """What the instrument measured, lane by lane."""
    lanes: int
    samples: int


class RunSettled(View):
    """A run that is over for its samples."""

    submission_id: SubmissionId
    completed: int
    failed: int


class CheckRunEligible(Command[RunEligible], type="sequencing.check_eligible"):
    """See that every sample may be sequenced, and the instrument be used; changes nothing."""

    submission_id: SubmissionId
    libraries: PlannedLibraries
    instrument: Name


class TakeFlowCell(Command[FlowCellTaken], type="sequencing.take_flow_cell"):
    """Take a flow cell for a run: it fits the instrument, is unused, and has not expired."""

    submission_id: SubmissionId
    flow_cell: Barcode
    instrument: Name


class GiveFlowCellBack(Command[FlowCellTaken], type="sequencing.give_flow_cell_back"):
    """Let others use the flow cell of a run; fine where the run has none."""

    submission_id: SubmissionId
    flow_cell: Barcode


class WriteSampleSheet(Command[SampleSheetWritten], type="sequencing.write_sample_sheet"):
    """Write the sample sheet of a run, with its indexes as the instrument reads them."""

    submission_id: SubmissionId
    run: Name
    instrument: Name
    reads: ReadPlan
    libraries: PlannedLibraries


class VoidSampleSheet(Command[SampleSheetWritten], type="sequencing.void_sample_sheet"):
    """Mark the sample sheet of a run as not to be used; fine where there is none."""

    submission_id: SubmissionId


class QueueRun(Command[RunQueued], type="sequencing.queue_run"):
    """Put a run into the queue of its instrument; from here on the bench acts on it."""

    submission_id: SubmissionId
    run: Name
    instrument: Name
    flow_cell: Barcode
    pool_barcode: Barcode
    sheet: FileRef


class BeginSamples(Command[SamplesBegun], type="sequencing.begin_samples"):
    """Have every sample of a queued run shown as in sequencing."""

    submission_id: SubmissionId


class ReadRunFolder(Command[RunFolderRead], type="sequencing.read_run_folder"):
    """Read what an instrument left of a run, once it is whole; changes nothing."""

    submission_id: SubmissionId
    run: Name
    folder: Name


class SettleRun(Command[RunSettled], type="sequencing.settle_run"):
    """Have every sample of a run completed, or failed where the run, or the sample on it, did."""

    submission_id: SubmissionId
    run: Name
    verdict: Verdict


# Refusals


class RunFolderIncomplete(
    Refusal,
    code="sequencing.run_folder_incomplete",
    status=409,
    says="Folder {folder} of run {run} is not whole yet: {missing} is missing. "
    "Wait until the instrument has copied it, or name the right folder.",
):
    """The instrument is still writing; asked again later, it may be whole."""

    run: Name
    folder: Name
    missing: Name
