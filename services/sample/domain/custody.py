"""The chain of custody: through whose hands a sample went, told from its log."""

from collections.abc import Iterable, Sequence

from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import (
    CustodyEntry,
    CustodyTransferred,
    RecordCustody,
    SampleDerived,
    SampleDisposed,
    SampleNotFound,
    SampleRegistered,
    SampleStatus,
    SampleStatusChanged,
)
from contracts.storage import Handover
from services.sample.domain.sample import Sample


def record(
    current: Sample | None, handover: Handover, command: RecordCustody
) -> Sequence[Event] | Refusal:
    """Write down that a sample was carried; once for each process that carried it."""
    if current is None:
        return SampleNotFound(key=str(handover.sample_id))
    if command.submission_id in current.carried:
        return []
    return [
        CustodyTransferred(
            sample_id=current.sample_id,
            barcode=current.details.barcode,
            submission_id=command.submission_id,
            origin=handover.origin,
            target=handover.target,
            carried_at=command.carried_at,
            carried_by=command.carried_by,
            witnessed_by=command.witnessed_by,
            temperature_celsius=command.temperature_celsius,
            reason=command.reason,
        )
    ]


def chain(entries: Iterable[Entry]) -> list[CustodyEntry]:
    """Tell the chain of custody from a sample's log, oldest first."""
    return [link for entry in entries for event in entry.events for link in _links(event, entry)]


def _links(event: Event, entry: Entry) -> Iterable[CustodyEntry]:
    match event:
        case SampleRegistered():
            derived = any(isinstance(one, SampleDerived) for one in entry.events)
            yield CustodyEntry(
                seq=entry.seq,
                at=entry.at,
                by=entry.actor,
                action="derived" if derived else "registered",
            )
        case SampleStatusChanged(new_status=SampleStatus.IN_STORAGE):
            yield CustodyEntry(
                seq=entry.seq, at=entry.at, by=entry.actor, action="stored", reason=event.reason
            )
        case CustodyTransferred():
            yield CustodyEntry(
                seq=entry.seq,
                at=event.carried_at,
                by=event.carried_by,
                action="removed" if event.target is None else "moved",
                origin=event.origin,
                target=event.target,
                witnessed_by=event.witnessed_by,
                temperature_celsius=event.temperature_celsius,
                reason=event.reason,
            )
        case SampleDisposed():
            yield CustodyEntry(
                seq=entry.seq, at=entry.at, by=entry.actor, action="disposed", reason=event.reason
            )
        case _:
            return
