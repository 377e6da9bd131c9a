"""The leases of a group as its bucket has them, and what one member should do about them. Pure.

Fair shares: every live member gets as many leases as every other, give or take one. Nothing is read
or written here.
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

MEMBERS_FORGOTTEN_AFTER = timedelta(hours=1)
"""An announcement that ended so long ago is removed: names of processes come and go."""


@dataclass(frozen=True, slots=True)
class Me:
    """One process among those that share a group."""

    instance: str
    """Its name, which a restart keeps: whoever starts under it knows its forerunner to be dead."""
    incarnation: str
    """Its own: a UUIDv7, so that a later start sorts after an earlier one."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease as it was written last."""

    number: int
    owner: str = ""
    """An instance; empty where nobody holds it."""
    incarnation: str = ""
    epoch: int = 0
    """Grows with each taking: whoever knows a greater one knows that an older owner has lost it."""
    expires_at: datetime | None = None
    revision: int = 0
    """Where it lies in the bucket; 0 where it was never written."""

    def is_of(self, me: Me) -> bool:
        """Say whether this very process wrote it last."""
        return (self.owner, self.incarnation) == (me.instance, me.incarnation)

    def is_free_for(self, me: Me, now: datetime) -> bool:
        """Say whether a process may take it: nobody has it, or whoever had it is dead."""
        if self.expires_at is None or not self.owner or self.expires_at <= now:
            return True
        return self.owner == me.instance and self.incarnation <= me.incarnation

    def taken_by(self, me: Me, epoch: int, expires_at: datetime) -> "Lease":
        """Give the lease as a process takes or renews it."""
        return replace(
            self,
            owner=me.instance,
            incarnation=me.incarnation,
            epoch=epoch,
            expires_at=expires_at,
        )

    def released(self) -> "Lease":
        """Give the lease as nobody's; its epoch stays."""
        return replace(self, owner="", incarnation="", expires_at=None)

    def to_bytes(self) -> bytes:
        """Write it as the bucket has it."""
        expires_at = self.expires_at.isoformat() if self.expires_at else None
        return json.dumps(
            {
                "owner": self.owner,
                "incarnation": self.incarnation,
                "epoch": self.epoch,
                "expires_at": expires_at,
            }
        ).encode()


@dataclass(frozen=True, slots=True)
class Member:
    """One process that announced that it takes part."""

    me: Me
    expires_at: datetime
    revision: int = 0

    def to_bytes(self) -> bytes:
        """Write it as the bucket has it."""
        return json.dumps(
            {
                "instance": self.me.instance,
                "incarnation": self.me.incarnation,
                "expires_at": self.expires_at.isoformat(),
            }
        ).encode()


def read_lease(number: int, body: bytes, revision: int) -> Lease:
    """Read what `Lease.to_bytes` wrote."""
    document: Mapping[str, Any] = json.loads(body)
    expires_at = document["expires_at"]
    return Lease(
        number,
        document["owner"],
        document["incarnation"],
        document["epoch"],
        datetime.fromisoformat(expires_at) if expires_at else None,
        revision,
    )


def read_member(body: bytes, revision: int) -> Member:
    """Read what `Member.to_bytes` wrote."""
    document: Mapping[str, Any] = json.loads(body)
    me = Me(document["instance"], document["incarnation"])
    return Member(me, datetime.fromisoformat(document["expires_at"]), revision)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one member should do."""

    take: Sequence[Lease] = ()
    give_up: Sequence[int] = ()


@dataclass(slots=True)
class Table:
    """A whole group."""

    leases: dict[int, Lease]
    """By number; every number of the group is there."""
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    """By instance."""

    @classmethod
    def of(cls, count: int) -> "Table":
        """Make the table of a group that nobody took part in yet."""
        return cls({number: Lease(number) for number in range(count)})

    def newer_of(self, known: "Table") -> "Table":
        """Give this table with what is known better: a replica may answer with what was."""
        for number, lease in known.leases.items():
            if lease.revision > self.leases[number].revision:
                self.leases[number] = lease
        return self

    def live(self, me: Me, now: datetime) -> list[str]:
        """Name the instances that take part now, sorted, this one among them."""
        announced = {m.me.instance for m in self.members.values() if m.expires_at > now}
        return sorted(announced | {me.instance})

    def supersedes(self, me: Me, now: datetime) -> bool:
        """Say whether a process that was started later under the same name takes part."""
        known = self.members.get(me.instance)
        return (
            known is not None and known.me.incarnation > me.incarnation and known.expires_at > now
        )

    def gone(self, now: datetime) -> list[str]:
        """Name the instances whose announcements can be forgotten."""
        return [
            instance
            for instance, member in self.members.items()
            if member.expires_at + MEMBERS_FORGOTTEN_AFTER < now
        ]

    def expiries(self, me: Me) -> list[datetime]:
        """List when what others wrote ends."""
        leases = (
            lease.expires_at
            for lease in self.leases.values()
            if lease.expires_at is not None and not lease.is_of(me)
        )
        members = (m.expires_at for m in self.members.values() if m.me != me)
        return [*leases, *members]

    def holders(self) -> tuple[frozenset[tuple[int, str, int]], frozenset[Me]]:
        """Give what tells one division of the work from another; renewals change nothing of it."""
        leases = frozenset((x.number, x.incarnation, x.epoch) for x in self.leases.values())
        return leases, frozenset(member.me for member in self.members.values())

    def plan(
        self, me: Me, now: datetime, *, held: AbstractSet[int], busy: AbstractSet[int]
    ) -> Plan:
        """Say what a member should do that holds some leases and is moving others.

        What is busy is on its way from or to this member, and is left alone.
        """
        live = self.live(me, now)
        share = share_of(live.index(me.instance), len(live), len(self.leases))
        mine = sorted(held - busy)
        if len(mine) > share:
            return Plan(give_up=mine[share:])
        free = [
            lease
            for lease in self.leases.values()
            if lease.number not in held | busy and lease.is_free_for(me, now)
        ]
        free.sort(key=lambda lease: _preference(lease, me, len(live), live.index(me.instance)))
        return Plan(take=free[: share - len(mine)])


def share_of(rank: int, members: int, count: int) -> int:
    """Say how many of `count` leases the member of a rank gets; together they get all."""
    each, rest = divmod(count, members)
    return each + (rank < rest)


def _preference(lease: Lease, me: Me, members: int, rank: int) -> tuple[bool, bool, int]:
    # What it had before it was restarted; then what no other member begins with, so that those who
    # start together rarely reach for the same one.
    return lease.owner != me.instance, lease.number % members != rank, lease.number
