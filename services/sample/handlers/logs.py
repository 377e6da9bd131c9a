"""The logs that the handlers decide on, and how many samples are read and decided on at once."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.sample import BarcodeTaken, SampleNotFound
from contracts.types import Barcode, SampleId
from infra.bus.context import Context
from infra.clock import SYSTEM, Clock
from infra.log.log import Aggregates, Change, Log
from services.sample import domain
from services.sample.domain import BarcodeClaim, Sample, Submission
from services.sample.domain.holds import HOLD, Hold

LOOKUPS_AT_ONCE = 64

Claiming = Callable[[AbstractSet[Barcode]], Sequence[Change[Any]]]
"""Barcodes whose holder does not exist -> changes, the claims of these barcodes among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The logs that the handlers decide on."""

    log: Log
    samples: Aggregates[Sample]
    claims: Aggregates[BarcodeClaim]
    submissions: Aggregates[Submission]
    holds: Aggregates[Hold]
    claim_grace: timedelta
    clock: Clock

    @classmethod
    def of(cls, log: Log, *, claim_grace_seconds: float, clock: Clock = SYSTEM) -> Self:
        """Take the service's log."""
        return cls(
            log=log,
            samples=log.of(domain.SAMPLE),
            claims=log.of(domain.BARCODE),
            submissions=log.of(domain.SUBMISSION),
            holds=log.of(HOLD),
            claim_grace=timedelta(seconds=claim_grace_seconds),
            clock=clock,
        )

    def claim(
        self,
        barcode: Barcode,
        sample_id: SampleId,
        now: datetime,
        *,
        abandoned: AbstractSet[Barcode] = frozenset(),
    ) -> Change[BarcodeClaim]:
        """Say what to decide on a barcode that a sample wants to bear.

        `abandoned`: whose present holder is known not to exist.
        """
        return self.claims.change(
            barcode,
            lambda current: domain.claim(
                current,
                barcode,
                sample_id,
                holder_exists=barcode not in abandoned,
                now=now,
                grace=self.claim_grace,
            ),
            new=barcode not in abandoned,
        )

    async def abandoned(self, refused: Refused) -> Barcode:
        """Give the barcode that was refused because of a registration that was given up half-way.

        Raises:
            Refused: the refusal itself, where it is another one, or a sample bears the barcode.
        """
        taken = refused.refusal
        if not isinstance(taken, BarcodeTaken):
            raise refused
        if (await self.samples.get(taken.sample_id)).state is not None:
            raise refused
        return taken.barcode

    async def transact_claiming(self, make: Claiming, context: Context) -> list[Loaded[Any]]:
        """Make changes together with claims, also of barcodes that were given up half-way.

        Raises:
            Refused: nothing was changed.
        """
        abandoned: set[Barcode] = set()
        while True:
            try:
                return await self.log.transact(make(abandoned), context)
            except Refused as refused:
                barcode = await self.abandoned(refused)
                if barcode in abandoned:
                    raise
                abandoned.add(barcode)

    async def all_of(self, keys: Iterable[SampleId]) -> dict[SampleId, Sample | None]:
        """Load many samples as they are, each once and in their order; None where there is none."""
        limit = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def load(key: SampleId) -> Sample | None:
            async with limit:
                return (await self.samples.get(key)).state

        wanted = list(dict.fromkeys(keys))
        found = await asyncio.gather(*(load(key) for key in wanted))
        return dict(zip(wanted, found, strict=True))

    async def bearer(self, barcode: Barcode) -> Sample | None:
        """Give the sample that bears a barcode, where there is one."""
        claim = (await self.claims.get(barcode)).state
        if claim is None or claim.holder is None:
            return None
        return (await self.samples.get(claim.holder)).state

    async def require(self, key: SampleId) -> Loaded[Sample]:
        """Load a sample that must exist.

        Raises:
            Refused: it does not.
        """
        loaded = await self.samples.get(key)
        if loaded.state is None:
            raise Refused(SampleNotFound(key=str(key)))
        return loaded
