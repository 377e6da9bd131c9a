"""The read model of samples: what lists are answered from. Derived; rebuilt at any time."""

from contracts.aggregate import Loaded
from contracts.sample import SampleView
from services.sample.domain import Sample


def view(loaded: Loaded[Sample]) -> SampleView:
    """Show a sample as its log has it; the sample must exist."""
    sample = loaded.state
    if sample is None:
        raise LookupError(f"sample {loaded.key} does not exist")
    return SampleView(
        sample_id=sample.sample_id,
        status=sample.status,
        details=sample.details,
        submission_id=sample.submission_id,
        registered_at=sample.registered_at,
        registered_by=sample.registered_by,
        changed_at=sample.changed_at,
        seq=loaded.seq,
    )


class SampleStore:
    pass
