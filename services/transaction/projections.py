"""Which read models the transaction service keeps.

Sagas lie in several partitions, whose sequences cannot be compared: the list is kept in the order
in which the service announced what became of them, each shown as its log has it.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Loaded
from infra.runtime.platform import Platform
from infra.runtime.stream_source import StreamSource, Told
from infra.store.projector import Projector
from infra.store.read_model import Write
from sagas.engine.state import SagaState
from sagas.engine.view import view
from services.transaction.store import TRANSACTIONS, document

Load = Callable[[UUID], Awaitable[Loaded[SagaState]]]
"""Gives a saga as its log has it."""


def transactions(platform: Platform, load: Load) -> Projector[Told]:
    """Keep the list of transactions."""

    async def project(batch: Sequence[Told]) -> Sequence[Write]:
        ids = dict.fromkeys(
            told.envelope.subject for told in batch if told.envelope and told.envelope.subject
        )
        writes: list[Write] = []
        for saga_id in ids:
            loaded = await load(UUID(saga_id))
            if loaded.state is not None:
                writes.append(
                    document(view(loaded.state, seq=loaded.seq, transitions=loaded.number))
                )
        return writes

    source = StreamSource(
        platform.connection,
        subjects.EVENTS,
        subjects.events_of("transaction"),
        clock=platform.clock,
    )
    return Projector(
        platform.service, platform.store, TRANSACTIONS, source, project, clock=platform.clock
    )
