"""The logs that the handlers decide on, and how a move is made in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.storage import ContainerNotFound, LocationNotFound
from contracts.types import ContainerId, LocationId, UtcTime
from infra.bus.context import Context
from infra.log.log import Aggregates, Change, Log
from services.storage.domain.container import CONTAINER, ContainerState
from services.storage.domain.handover import HANDOVER, Carry, HandoverState
from services.storage.domain.location import (
    LOCATION,
    LOCATION_NAME,
    LocationNameState,
    LocationState,
)
from services.storage.domain.moves import Move
from services.storage.domain.reservation import RESERVATION, ReservationState


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The service's aggregates."""

    log: Log
    locations: Aggregates[LocationState]
    location_names: Aggregates[LocationNameState]
    containers: Aggregates[ContainerState]
    reservations: Aggregates[ReservationState]
    handovers: Aggregates[HandoverState]

    @classmethod
    def of(cls, log: Log) -> "Logs":
        """Take the service's log."""
        return cls(
            log=log,
            locations=log.of(LOCATION),
            location_names=log.of(LOCATION_NAME),
            containers=log.of(CONTAINER),
            reservations=log.of(RESERVATION),
            handovers=log.of(HANDOVER),
        )

    async def require_location(self, key: LocationId) -> tuple[LocationState, int]:
        """Load a location that must exist, and the sequence of its newest entry.

        Raises:
            Refused: it does not.
        """
        loaded = await self.locations.get(key)
        if loaded.state is None:
            raise Refused(LocationNotFound(location_id=key))
        return loaded.state, loaded.seq

    async def require_container(
        self, key: ContainerId, at: UtcTime | None = None
    ) -> tuple[ContainerState, int]:
        """Load a container that must exist, as it is or was, and the sequence of its newest entry.

        Raises:
            Refused: it does not, or did not then.
        """
        loaded = await (self.containers.at(key, at) if at else self.containers.get(key))
        if loaded.state is None:
            raise Refused(ContainerNotFound(container_id=key))
        return loaded.state, loaded.seq

    async def make(self, move: Move, context: Context) -> ReservationState:
        """Make a move: the reservation and all its boxes, or nothing.

        Raises:
            Refused: a decision was a refusal, `PlanOutdated` where others were first.
        """
        reservation = self.reservations.change(move.submission_id, move.reservation)
        boxes = [self.containers.change(key, decide) for key, decide in move.boxes.items()]
        loaded: Sequence[Loaded[ReservationState]] = await self.log.transact(
            [reservation, *boxes], context
        )
        state = loaded[0].state
        if state is None:
            raise ValueError(f"submission {move.submission_id}: a move left no reservation behind")
        return state

    async def carry(self, carry: Carry, context: Context) -> HandoverState:
        """Carry samples: the reservation of a transfer, the handover and all boxes, or nothing.

        Raises:
            Refused: a decision was a refusal, `PlanOutdated` where others were first.
        """
        changes: list[Change[Any]] = [self.handovers.change(carry.submission_id, carry.handover)]
        if carry.reservation is not None:
            # First, so that its refusal is the one that counts.
            changes.insert(0, self.reservations.change(carry.submission_id, carry.reservation))
        changes += [self.containers.change(key, decide) for key, decide in carry.boxes.items()]
        await self.log.transact(changes, context)
        state = (await self.handovers.get(carry.submission_id)).state
        if state is None:
            raise ValueError(f"{carry.submission_id}: nothing was left of what was carried")
        return state
