"""What is made of samples: aliquots and pools, who their parents are, and how much is left."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from contracts.errors import FieldError, InvalidInput, Refusal
from contracts.message import Event
from contracts.sample import (
    Aliquot,
    MaterialTaken,
    SampleDerived,
    SampleDetails,
    SampleNotFound,
    SampleRegistered,
    SampleStatus,
    SampleUnusable,
    VolumeShort,
)
from contracts.types import SampleId
from services.sample.domain.holds import refuse_use
from services.sample.domain.sample import Sample

USABLE = frozenset(
    {
        SampleStatus.VALIDATED,
        SampleStatus.IN_STORAGE,
        SampleStatus.IN_SEQUENCING,
        SampleStatus.COMPLETED,
    }
)
"""Of which samples material may be taken."""


def details_of(aliquot: Aliquot, parent: SampleDetails) -> SampleDetails:
    """Describe what comes from a sample: as the sample, but for what the tube says itself."""
    return parent.model_copy(
        update={
            "barcode": aliquot.barcode,
            "name": aliquot.name,
            "sample_type": aliquot.sample_type or parent.sample_type,
            "zone": aliquot.zone or parent.zone,
            "volume_ul": aliquot.volume_ul,
            "concentration_ng_per_ul": aliquot.concentration_ng_per_ul,
            "quality_score": None,
            "notes": None,
        }
    )


def pool_details(pool: Aliquot, parents: Sequence[SampleDetails]) -> SampleDetails | Refusal:
    """Describe a pool; what its samples do not have in common, the pool has to say."""
    types = {one.sample_type for one in parents}
    zones = {one.zone for one in parents}
    errors: list[FieldError] = []
    if pool.sample_type is None and len(types) > 1:
        errors.append(_unsaid("sample_type", sorted(types)))
    if pool.zone is None and len(zones) > 1:
        errors.append(_unsaid("zone", sorted(zones)))
    if errors:
        return InvalidInput(count=len(errors), errors=errors)
    first = details_of(pool, parents[0])
    # A pool is of no one subject, and was collected on no one day.
    return first.model_copy(update={"subject_id": None, "collected_on": None})


def _unsaid(field: str, found: Sequence[str]) -> FieldError:
    return FieldError(
        field=f"pool.{field}",
        problem=f"The samples differ: {', '.join(found)}.",
        remedy=f"Say the {field} of the pool.",
    )


def refuse_repeated(field: str, values: Sequence[object]) -> Refusal | None:
    """Refuse what is named more than once."""
    errors = [
        FieldError(
            field=field,
            value=str(value),
            problem=f"It is named {times} times.",
            remedy="Name it once.",
        )
        for value, times in Counter(values).items()
        if times > 1
    ]
    return InvalidInput(count=len(errors), errors=errors) if errors else None


def take(
    current: Sample | None, sample_id: SampleId, child_ids: Sequence[SampleId], volume_ul: Decimal
) -> Sequence[Event] | Refusal:
    """Take material of a sample for others; taken already for the same ones is fine."""
    if current is None:
        return SampleNotFound(key=str(sample_id))
    if set(child_ids) <= set(current.child_ids):
        return []
    if on_hold := refuse_use(current):
        return on_hold
    if current.status not in USABLE:
        return SampleUnusable(sample_id=sample_id, status=current.status)
    left = current.remaining_ul
    if left is not None and volume_ul > left:
        return VolumeShort(sample_id=sample_id, remaining_ul=left, wanted_ul=volume_ul)
    return [MaterialTaken(sample_id=sample_id, child_ids=list(child_ids), volume_ul=volume_ul)]


def derive(
    current: Sample | None,
    sample_id: SampleId,
    details: SampleDetails,
    *,
    parent_ids: Sequence[SampleId],
    how: Literal["aliquot", "pool"],
) -> Sequence[Event]:
    """Accept a sample that was made here, of others."""
    if current is not None:
        return []
    return [
        SampleRegistered(sample_id=sample_id, details=details, status=SampleStatus.VALIDATED),
        SampleDerived(
            sample_id=sample_id, barcode=details.barcode, parent_ids=list(parent_ids), how=how
        ),
    ]
