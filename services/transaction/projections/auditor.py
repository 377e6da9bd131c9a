"""The auditor of the list: folds sagas anew from their logs and compares with what the list shows.

All the time and gently, one saga after the other: what somebody wrote into the store by hand, or a
mistake of the projection, is found within one cycle, counted, logged, and written anew. The logs
are the truth: nothing is ever written there, and a log that cannot be read is only told of.
"""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import structlog

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.entry import Entry
from contracts.errors import Refused, Retryable
from infra.clock import SYSTEM, Clock
from infra.log.archive import MARK
from infra.log.log import Log
from infra.store.projector import Projector
from infra.store.queries import Reader
from infra.store.read_model import SEQ
from infra.telemetry import metrics
from sagas.engine.state import SagaState
from services.transaction import domain
from services.transaction.store import document

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 60.0
"""Between two cycles, and before an audit that could not be made is tried again."""
LEAD_SECONDS = 1.0
"""Between two looks whether this process writes the list: another that does audits it too."""
GRACE = timedelta(seconds=30)
"""How long the list may lack a transition that its projector has not come to."""
ENTRIES_AHEAD = 200
"""Log entries that are read at once while looking for sagas."""
EVER = datetime.max.replace(tzinfo=UTC)


class Drift(StrEnum):
    """How a document differs from its log."""

    MISSING = "missing"
    BEHIND = "behind"
    """It shows an older transition, and the newest is not new."""
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    """The log cannot be folded: there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One document that is not what its log says."""

    saga_id: UUID
    kind: Drift
    path: str
    """Where the first difference is; empty where there is no document, or no log to read."""
    mended: bool


class Auditor:
    """Audits the list of transactions."""

    def __init__(
        self,
        partitions: Sequence[Log],
        listed: Projector[Entry],
        *,
        reader: Reader[Entry],
        every_seconds: float,
        grace: timedelta = GRACE,
        clock: Clock = SYSTEM,
    ) -> None:
        """Compare the partitions' logs with the list, one saga each `every_seconds`."""
        self._partitions = partitions
        self._listed = listed
        self._reader = reader
        self._every_seconds = every_seconds
        self._grace = grace
        self._clock = clock
        self._before = Counter[Drift]()
        self._found = Counter[Drift]()
        self._gauges = {
            kind: metrics.gauge("tracseq_saga_audit_drift", kind=kind) for kind in Drift
        }

    async def run(self) -> None:
        """Audit for ever, as long as this process writes the list."""
        while True:
            while not self._listed.leads:
                await self._clock.sleep(LEAD_SECONDS)
            try:
                await self.cycle()
            except (Refused, Retryable) as error:
                log.info("saga.audit_again", error=str(error))
            await self._clock.sleep(PAUSE_SECONDS)

    async def cycle(self) -> list[Finding]:
        """Audit every saga that has a log once; give what was found.

        Raises:
            Refused: the store does not answer.
            Retryable: the broker does not answer.
        """
        self._before, self._found = self._found, Counter()
        self._show()
        findings: list[Finding] = []
        for partition in self._partitions:
            async with aclosing(_sagas_of(partition)) as sagas:
                async for saga_id in sagas:
                    finding = await self.audit(saga_id)
                    if finding is not None:
                        findings.append(finding)
                    await self._clock.sleep(self._every_seconds)
        return findings

    async def audit(self, saga_id: UUID) -> Finding | None:
        """Compare one saga's document with its log, and write it anew where it differs.

        Raises as `cycle`.
        """
        # The document first: the log can only be further, never the other way round.
        pointer, seen = await self._reader.stored(str(saga_id))
        partition = subjects.saga_partition(saga_id)
        try:
            loaded = await self._partitions[partition].at(domain.SAGA, saga_id, EVER)
        except Retryable:
            raise
        except Exception:
            log.exception("saga.audit_unreadable", saga_id=str(saga_id))
            return self._tell(Finding(saga_id, Drift.UNREADABLE, "", mended=False))
        right = document(loaded)
        if right is None or seen == (expected := right.document()):
            return None
        kind = _kind_of(seen, loaded)
        passed = pointer.marks[partition] >= loaded.seq
        if kind is not Drift.DIFFERENT and not passed and not self._settled(loaded):
            return None
        path = first_difference(expected, seen) if seen is not None else ""
        mended = await self._listed.mend(right, seen)
        return self._tell(Finding(saga_id, kind, path, mended))

    def _settled(self, loaded: Loaded[SagaState]) -> bool:
        state = loaded.state
        return state is not None and self._clock.now() - state.changed_at > self._grace

    def _tell(self, finding: Finding) -> Finding:
        self._found[finding.kind] += 1
        self._show()
        log.warning(
            "saga.audit_drift",
            saga_id=str(finding.saga_id),
            kind=finding.kind.value,
            path=finding.path,
            mended=finding.mended,
        )
        return finding

    def _show(self) -> None:
        """Count what the present cycle and the one before it found, so that none goes unseen."""
        for kind, gauge in self._gauges.items():
            gauge.set(self._before[kind] + self._found[kind])


def _kind_of(seen: Mapping[str, Any] | None, loaded: Loaded[SagaState]) -> Drift:
    if seen is None:
        return Drift.MISSING
    shown = seen.get(SEQ)
    return Drift.BEHIND if isinstance(shown, int) and shown < loaded.seq else Drift.DIFFERENT


async def _sagas_of(partition: Log) -> AsyncGenerator[UUID]:
    """Name the sagas of a partition in the order in which they began, or were archived."""
    entries = partition.connection.read(partition.stream, partition.filter, batch_max=ENTRIES_AHEAD)
    async with aclosing(entries) as raws:
        async for raw in raws:
            key = domain.SAGA.key_of(raw.subject)
            if key is not None and (_begins(raw.body) or MARK in raw.headers):
                yield UUID(key)


def _begins(body: bytes) -> bool:
    """Say whether an entry is a log's first; one that cannot be read is for the fold to tell of."""
    try:
        return bool(json.loads(body)["number"] == 1)
    except (ValueError, KeyError, TypeError):
        return False


def first_difference(expected: object, found: object, path: str = "") -> str:
    """Name the first place where two JSON values differ, as `view.steps.0.status`; pure.

    Empty where they are the same, or differ as a whole.
    """
    ours, theirs = _members(expected), _members(found)
    if ours is None or theirs is None:
        return "" if expected == found else path
    for name in (*ours, *(name for name in theirs if name not in ours)):
        inside = f"{path}.{name}" if path else name
        if name not in ours or name not in theirs:
            return inside
        if ours[name] != theirs[name]:
            return first_difference(ours[name], theirs[name], inside)
    return ""


def _members(value: object) -> dict[str, object] | None:
    if isinstance(value, dict):
        return cast("dict[str, object]", value)
    if isinstance(value, list):
        return {str(place): one for place, one in enumerate(cast("list[object]", value))}
    return None
