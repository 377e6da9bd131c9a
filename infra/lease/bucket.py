"""The bucket of leases: read and written by compare-and-set. What to write is decided elsewhere.

Beside its leases a group has a record of how many they are, made by the provisioner, and an
announcement of each member.
"""

from contextlib import aclosing
from dataclasses import replace

from contracts import subjects
from contracts.errors import Conflict
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection, Raw
from infra.bus.streams import LeaseGroup
from infra.lease.table import Lease, Member, Table, read_lease, read_member

STREAM = f"KV_{subjects.LEASES_BUCKET}"
EVERYTHING = subjects.in_bucket(subjects.LEASES_BUCKET, ">")


class WrongCountError(RuntimeError):
    """The group has another number of leases than this process was built for."""


class LeaseBucket:
    """One group's part of the bucket."""

    def __init__(self, connection: Connection, group: LeaseGroup) -> None:
        """Say whose; nothing is read yet."""
        self._connection = connection
        self._group = group
        self._numbers = {
            _subject(subjects.lease(group.name, number)): number for number in range(group.count)
        }
        self._announced = _subject(subjects.lease_member(group.name, ""))
        self.head = 0
        """The newest sequence that was read."""

    async def read(self) -> Table:
        """Read the whole group as it is.

        Raises:
            WrongCountError: it has another number of leases.
            MissingStream: the provisioner has not run.
            BrokerUnavailable: NATS did not answer.
        """
        table, recorded = Table.of(self._group.count), b""
        counted = _subject(subjects.lease_group(self._group.name))
        async with aclosing(self._connection.read(STREAM, EVERYTHING)) as found:
            async for raw in found:
                self.head = max(self.head, raw.seq)
                if raw.subject == counted:
                    recorded = raw.body
                else:
                    self.enter(table, raw)
        objection = self._group.objection(recorded)
        if objection is not None:
            raise WrongCountError(objection)
        return table

    def enter(self, table: Table, raw: Raw) -> None:
        """Enter into a table what lies under one key, where that is news."""
        number = self._numbers.get(raw.subject)
        if number is not None and table.leases[number].revision < raw.seq:
            table.leases[number] = read_lease(number, raw.body, raw.seq)
        elif raw.subject.startswith(self._announced):
            member = read_member(raw.body, raw.seq)
            known = table.members.get(member.me.instance)
            if known is None or known.revision < raw.seq:
                table.members[member.me.instance] = member

    async def put(self, table: Table, lease: Lease) -> bool:
        """Write a lease; False where somebody else wrote it since it was read."""
        key = subjects.lease(self._group.name, lease.number)
        seq = await self._write(key, lease.to_bytes(), lease.revision)
        if seq is not None:
            table.leases[lease.number] = replace(lease, revision=seq)
        return seq is not None

    async def announce(self, table: Table, member: Member) -> bool:
        """Write an announcement; False where another process wrote it since it was read."""
        instance = member.me.instance
        known = table.members.get(instance)
        key = subjects.lease_member(self._group.name, instance)
        seq = await self._write(key, member.to_bytes(), known.revision if known else 0)
        if seq is not None:
            table.members[instance] = replace(member, revision=seq)
        return seq is not None

    async def forget(self, table: Table, instance: str) -> None:
        """Remove an announcement."""
        key = subjects.lease_member(self._group.name, instance)
        await self._connection.purge(STREAM, _subject(key))
        table.members.pop(instance, None)

    async def _write(self, key: str, body: bytes, revision: int) -> int | None:
        expected = {EXPECTED_LAST_SUBJECT_SEQ: str(revision)}
        try:
            stored = await self._connection.publish(_subject(key), body, expected, stream=STREAM)
        except Conflict:
            return None
        return stored.seq


def _subject(key: str) -> str:
    return subjects.in_bucket(subjects.LEASES_BUCKET, key)
