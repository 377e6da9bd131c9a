"""Message in, fact published or letter moved, answer out. No rule of the laboratory stands here."""

from dataclasses import asdict

from pydantic import ValidationError

from contracts.errors import InvalidInput, Refusal, Refused
from contracts.event import (
    DeadLetterList,
    DeadLetterNotFound,
    DeadLetterSummary,
    DeadLetterView,
    DropDeadLetter,
    GetDeadLetter,
    LetterDropped,
    LetterReplayed,
    ListDeadLetters,
    ListEvents,
    Published,
    PublishLabEvent,
    ReplayDeadLetter,
    TimelineEntry,
)
from contracts.message import LabEvent
from contracts.types import Page
from infra.bus.bus import Bus
from infra.bus.context import Context
from infra.bus.dead import DeadLetters
from infra.http.invalid import invalid_input
from services.event import domain
from services.event.store import TimelineStore


async def on_publish(command: PublishLabEvent, context: Context, *, bus: Bus) -> Published:
    """Keep a raw fact under the command's own id, so that a redelivery is the same fact."""
    stored = await bus.publish_lab(
        _read(command),
        source=command.source,
        site=command.site,
        message_id=context.message_id,
        actor=context.actor,
    )
    return Published(id=context.message_id, type=command.type, stream=stored.stream, seq=stored.seq)


def _read(command: PublishLabEvent) -> LabEvent:
    """Read the fact by its contract, strictly: a misspelt field would be lost without a word."""
    kind = domain.lab_event(command.type)
    if isinstance(kind, Refusal):
        raise Refused(kind)
    try:
        return kind.model_validate(command.data, extra="forbid")
    except ValidationError as error:
        found = invalid_input(error, kind)
    errors = [one.model_copy(update={"field": f"data.{one.field}"}) for one in found.errors]
    raise Refused(InvalidInput(count=found.count, errors=errors))


async def on_list(
    query: ListEvents, context: Context, *, store: TimelineStore
) -> Page[TimelineEntry]:
    """List what happened, from the read model."""
    del context
    return await store.page(query)


async def on_list_letters(
    query: ListDeadLetters, context: Context, *, letters: DeadLetters
) -> DeadLetterList:
    """List what could not be handled."""
    del context
    found = await letters.list(after=query.after, limit=query.limit)
    return DeadLetterList(
        items=[DeadLetterSummary.model_validate(asdict(letter)) for letter in found],
        next_after=found[-1].seq if len(found) == query.limit else None,
    )


async def on_get_letter(
    query: GetDeadLetter, context: Context, *, letters: DeadLetters
) -> DeadLetterView | DeadLetterNotFound:
    """Show a dead letter."""
    del context
    letter = await letters.get(query.seq)
    if letter is None:
        return DeadLetterNotFound(seq=query.seq)
    return DeadLetterView.model_validate(asdict(letter) | {"body": letter.text()})


async def on_replay_letter(
    command: ReplayDeadLetter, context: Context, *, letters: DeadLetters
) -> LetterReplayed | DeadLetterNotFound:
    """Send a letter again, once however often the command is delivered."""
    sent_id = str(context.derive("replay", command.seq))
    stored = await letters.replay(command.seq, message_id=sent_id)
    if stored is None:
        return DeadLetterNotFound(seq=command.seq)
    return LetterReplayed(seq=command.seq, id=sent_id, stream=stored.stream, sent_seq=stored.seq)


async def on_drop_letter(
    command: DropDeadLetter, context: Context, *, letters: DeadLetters
) -> LetterDropped | DeadLetterNotFound:
    """Delete a letter; what an earlier delivery of the command deleted is deleted."""
    dropped = await letters.drop(command.seq)
    if not dropped and context.delivered == 1:
        return DeadLetterNotFound(seq=command.seq)
    return LetterDropped(seq=command.seq)
