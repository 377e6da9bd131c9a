"""Folded states of long logs, so that loading one reads its tail only.

Losing them costs time and nothing else. No truth is kept here.
"""

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, cast
from uuid import UUID

import structlog
from pydantic import TypeAdapter

from contracts import subjects
from contracts.aggregate import Aggregate, Loaded, StateT
from contracts.errors import Retryable
from infra.bus.connection import Connection

log = structlog.get_logger(__name__)

SNAPSHOT_EVERY = 200
"""Entries of one aggregate between two snapshots."""


@cache
def _adapter(state: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("type[Any]", state))


@cache
def _shape(state: Hashable, meaning: int) -> str:
    # Part of the key: a snapshot of another shape or meaning is not found, and not needed.
    schema = _adapter(state).json_schema()
    return subjects.fingerprint(f"{meaning}:{json.dumps(schema, sort_keys=True)}")


class Snapshots:
    """The bucket `snapshots`: one value per aggregate."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing is read yet."""
        self._connection = connection
        self._stream = f"KV_{subjects.SNAPSHOTS_BUCKET}"

    def _subject(self, kind: Aggregate[Any], key: UUID | str) -> str:
        shape = _shape(cast("Hashable", kind.state), kind.meaning)
        return (
            f"$KV.{subjects.SNAPSHOTS_BUCKET}.{kind.service}.{kind.name}.{shape}."
            f"{subjects.token(key)}"
        )

    async def get(self, kind: Aggregate[StateT], key: UUID | str) -> Loaded[StateT] | None:
        """Read the newest snapshot of an aggregate; None where there is none."""
        raw = await self._connection.last(self._stream, self._subject(kind, key))
        if raw is None or not raw.body:
            return None
        document = json.loads(raw.body)
        adapter = _adapter(cast("Hashable", kind.state))
        state = None if document["state"] is None else adapter.validate_python(document["state"])
        return Loaded(
            str(key),
            state,
            document["seq"],
            document["number"],
            document["hash"],
            tuple(document["causes"]),
            tuple(document.get("seqs", ())),
        )

    async def put(self, kind: Aggregate[Any], loaded: Loaded[Any]) -> None:
        """Keep a snapshot; failing to is no failure, the log is complete without it."""
        state = None
        if loaded.state is not None:
            adapter = _adapter(cast("Hashable", kind.state))
            state = adapter.dump_python(loaded.state, mode="json")
        document = {
            "state": state,
            "seq": loaded.seq,
            "number": loaded.number,
            "hash": loaded.hash,
            "causes": loaded.causes,
            "seqs": loaded.seqs,
        }
        try:
            await self._connection.publish(
                self._subject(kind, loaded.key), json.dumps(document).encode()
            )
        except Retryable as error:
            log.warning("snapshot.not_kept", aggregate=kind.name, key=loaded.key, error=repr(error))
