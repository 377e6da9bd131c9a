"""Libraries: what is prepared of samples for sequencing, and how it is pooled.

The service that owns these commands does not stand yet. They are what sagas will ask of it: each
goes by the process that asks, so that its undo needs nothing else. There is no HTTP here.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from contracts.message import Command
from contracts.sample import PARENTS_MAX
from contracts.types import Barcode, FileRef, Name, SampleId, SubmissionId, Value, View, VolumeUl

LANES_MAX = 16
"""Lanes of a flow cell."""
Lane = Annotated[int, Field(ge=1, le=LANES_MAX)]
LibraryIds = Annotated[list[SampleId], Field(min_length=1, max_length=PARENTS_MAX)]
"""Libraries are samples, made of others."""


class PlannedLibrary(Value):
    """One library on a flow cell."""

    sample_id: SampleId
    lane: Lane
    volume_ul: VolumeUl
    """What the pool takes of it."""


PlannedLibraries = Annotated[list[PlannedLibrary], Field(min_length=1, max_length=PARENTS_MAX)]


class VolumesReserved(View):
    """Material that nobody else may take."""

    submission_id: SubmissionId
    reserved_ul: Decimal
    """Of all libraries together."""


class LibrariesPulled(View):
    """Tubes on the bench."""

    submission_id: SubmissionId
    pulled: int


class LibrariesChecked(View):
    """Libraries that are what a sequencer can read."""

    submission_id: SubmissionId
    checked: int
    warnings: list[str]


class IndexesChecked(View):
    """Indexes that can be told apart in every lane."""

    submission_id: SubmissionId
    lanes: int
    warnings: list[str]


class PoolPlanned(View):
    """What goes onto the flow cell."""

    submission_id: SubmissionId
    pool_barcode: Barcode
    recipe: FileRef
    """What was taken of which library, as the bench reads it."""


class PoolDissolved(View):
    """A pool that will not be used."""

    submission_id: SubmissionId


class ReserveVolumes(Command[VolumesReserved], type="library.reserve_volumes"):
    """Keep material of every library for a run, all or none."""

    submission_id: SubmissionId
    libraries: PlannedLibraries


class ReleaseVolumes(Command[VolumesReserved], type="library.release_volumes"):
    """Give back what a run keeps and has not used; fine where it keeps nothing."""

    submission_id: SubmissionId


class PullLibraries(Command[LibrariesPulled], type="library.pull"):
    """Have the tubes of a run brought from storage to the bench, each with its handover."""

    submission_id: SubmissionId
    libraries: PlannedLibraries


class ReturnLibraries(Command[LibrariesPulled], type="library.put_back"):
    """Have the tubes of a run brought back to where they came from; fine where none was pulled."""

    submission_id: SubmissionId


class CheckLibraries(Command[LibrariesChecked], type="library.check"):
    """See that each library has a molarity and a fragment length fit for the instrument."""

    submission_id: SubmissionId
    libraries: PlannedLibraries
    instrument: Name


class CheckIndexes(Command[IndexesChecked], type="library.check_indexes"):
    """See that the indexes of each lane can be told apart and have colour in every cycle."""

    submission_id: SubmissionId
    libraries: PlannedLibraries
    instrument: Name


class PoolLibraries(Command[PoolPlanned], type="library.pool_libraries"):
    """Plan one pool of the libraries, and put it on the list of the bench."""

    submission_id: SubmissionId
    libraries: PlannedLibraries


class DissolvePool(Command[PoolDissolved], type="library.dissolve_pool"):
    """Mark the pool of a run as not to be used; fine where there is none."""

    submission_id: SubmissionId
