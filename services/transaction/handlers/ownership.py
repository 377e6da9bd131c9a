"""Which saga partitions this process carries on, and under which epoch.

Outcomes and timers are taken by the owner of a partition alone. Anybody may decide on what people
ask: compare-and-set keeps a saga whole, and a lease only keeps two processes from racing for ever.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.message import Event
from infra.lease.leases import Leases
from sagas.engine.state import SagaState

EPOCH = "epoch"
"""Where an entry's effects say under which epoch it was decided."""

Evolve = Callable[[SagaState | None, Event, Entry], SagaState | None]


class Ownership:
    """This process's leases on the saga partitions."""

    def __init__(self, leases: Leases) -> None:
        """Say which."""
        self._leases = leases

    @property
    def partitions(self) -> list[int]:
        """List the partitions that this process owns."""
        return self._leases.held

    def owns(self, saga_id: UUID) -> bool:
        """Say whether this process carries a saga on, as far as it knows."""
        return subjects.saga_partition(saga_id) in self.partitions

    def epoch(self, saga_id: UUID, *, owned: bool) -> int:
        """Give the epoch to decide on a saga under; `owned` where only its owner may.

        Raises:
            NotHeldError: its partition is another's, or may be by now.
        """
        partition = subjects.saga_partition(saga_id)
        return self._leases.require(partition) if owned else self._leases.epoch(partition)

    def watching(self, kind: Aggregate[SagaState]) -> Aggregate[SagaState]:
        """Give a kind whose entries tell, as they are read, of epochs newer than our own."""
        return replace(kind, evolve=self._watched(kind.evolve))

    def _watched(self, evolve: Evolve) -> Evolve:
        def watched(state: SagaState | None, event: Event, entry: Entry) -> SagaState | None:
            epoch = entry.effects.get(EPOCH)
            if epoch is not None:
                saga_id = state.saga_id if state else UUID(entry.subject.rpartition(".")[2])
                self._leases.meet(subjects.saga_partition(saga_id), epoch)
            return evolve(state, event, entry)

        return watched
