"""From logs to read models: which documents a batch of entries changes.

What a document says is decided by the services.
"""

from collections.abc import Callable, Sequence

from contracts.aggregate import Aggregate, Loaded, StateT
from contracts.entry import Entry
from infra.log.log import Log
from infra.store.projector import Project
from infra.store.read_model import Write

Document = Callable[[Loaded[StateT]], Write]
"""An aggregate as it stands -> what the read model says of it."""


def project_states(log: Log, kind: Aggregate[StateT], document: Document[StateT]) -> Project[Entry]:
    """Make one document per aggregate of a kind, from its newest state.

    A state newer than the batch is no fault: the entries that led to it come later, and lead to the
    same.
    """

    async def project(entries: Sequence[Entry]) -> Sequence[Write]:
        newest: dict[str, int] = {}
        for entry in entries:
            key = kind.key_of(entry.subject)
            if key is not None:
                newest[key] = entry.seq
        return [document(await _at_least(log, kind, key, seq)) for key, seq in newest.items()]

    return project


async def _at_least(log: Log, kind: Aggregate[StateT], key: str, seq: int) -> Loaded[StateT]:
    loaded = await log.load(kind, key, fresh=False)
    return loaded if loaded.seq >= seq else await log.load(kind, key)
