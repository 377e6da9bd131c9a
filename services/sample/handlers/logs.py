"""The logs that the handlers decide on."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.sample import BarcodeTaken, SampleNotFound
from contracts.types import Barcode, SampleId
from infra.clock import SYSTEM, Clock
from infra.log.log import Aggregates, Change, Log
from services.sample import domain
from services.sample.domain import BarcodeClaim, Sample, Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The logs that the handlers decide on."""

    log: Log
    samples: Aggregates[Sample]
    claims: Aggregates[BarcodeClaim]
    submissions: Aggregates[Submission]
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

    async def require(self, key: SampleId) -> Loaded[Sample]:
        """Load a sample that must exist.

        Raises:
            Refused: it does not.
        """
        loaded = await self.samples.get(key)
        if loaded.state is None:
            raise Refused(SampleNotFound(key=str(key)))
        return loaded
