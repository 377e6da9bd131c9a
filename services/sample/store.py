"""The read model of samples: what lists are answered from. Derived; rebuilt at any time."""

from contracts.aggregate import Loaded
from contracts.entry import Entry
from contracts.sample import ListSamples, SampleStatus, SampleView
from contracts.types import Page
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel
from services.sample.domain import Sample

SAMPLES = ReadModel(
    "samples",
    ask_by=("status", "sample_type", "submission_id", "present", "held"),
    counted=("status", "sample_type", "present"),
)


def view(loaded: Loaded[Sample]) -> SampleView:
    """Show a sample as its log has it.

    Raises:
        LookupError: it does not exist.
    """
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
        holds=list(sample.holds),
        parent_ids=list(sample.parent_ids),
        remaining_volume_ul=sample.remaining_ul,
        seq=loaded.seq,
    )


def document(loaded: Loaded[Sample]) -> Put:
    """Say what the read model shows of a sample."""
    shown = view(loaded)
    return Put(
        id=str(shown.sample_id),
        order=loaded.state.registered_seq if loaded.state else 0,
        view=shown.model_dump(mode="json"),
        fields={
            "status": shown.status,
            "sample_type": shown.details.sample_type,
            "submission_id": str(shown.submission_id) if shown.submission_id else None,
            "present": shown.status is not SampleStatus.WITHDRAWN,
            "held": bool(shown.holds),
        },
    )


class SampleStore:
    """Answers lists of samples."""

    def __init__(self, reader: Reader[Entry]) -> None:
        """Read through a reader of `SAMPLES`."""
        self._reader = reader

    async def page(self, query: ListSamples) -> Page[SampleView]:
        """List samples, newest first; withdrawn ones only where they are asked for.

        Raises:
            Refused: the store does not answer (`Unavailable`).
        """
        asked = {
            "status": query.status,
            "sample_type": query.sample_type,
            "submission_id": str(query.submission_id) if query.submission_id else None,
            "present": True if query.status is None else None,
            "held": query.held,
        }
        views, total = await self._reader.page(
            asked, page=query.page, page_size=query.page_size, min_seq=query.min_seq
        )
        return Page(
            items=[SampleView.model_validate(one) for one in views],
            total=total,
            page=query.page,
            page_size=query.page_size,
        )
