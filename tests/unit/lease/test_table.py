"""Leases on paper: fair shares, who may take what, and who is alive."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.lease.table import Lease, Me, Member, Table, read_lease, read_member, share_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON, EARLIER = NOW + timedelta(seconds=10), NOW - timedelta(seconds=1)
A, B, C = (Me(name, f"{name}-1") for name in "abc")


def table(count: int, *members: Me) -> Table:
    """Make a group of which these take part."""
    made = Table.of(count)
    made.members = {me.instance: Member(me, SOON) for me in members}
    return made


def give(group: Table, me: Me, *numbers: int, until: datetime = SOON) -> set[int]:
    """Let a member hold leases."""
    for number in numbers:
        group.leases[number] = group.leases[number].taken_by(me, 1, until)
    return set(numbers)


@given(members=st.integers(1, 12), count=st.integers(1, 32))
def test_shares_are_fair_and_leave_nothing(members: int, count: int) -> None:
    """Together all leases, and no member has more than one more than another."""
    shares = [share_of(rank, members, count) for rank in range(members)]

    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


def test_whoever_is_alone_takes_everything() -> None:
    """One member, four leases that nobody had: four."""
    plan = table(4, A).plan(A, NOW, held=set(), busy=set())

    assert [lease.number for lease in plan.take] == [0, 1, 2, 3]
    assert list(plan.give_up) == []


def test_a_surplus_is_given_up_when_a_member_comes() -> None:
    """Two of four leases, and nothing is taken meanwhile."""
    group = table(4, A, B)
    held = give(group, A, 0, 1, 2, 3)
    plan = group.plan(A, NOW, held=held, busy=set())

    assert list(plan.give_up) == [2, 3]
    assert list(plan.take) == []
    assert list(group.plan(B, NOW, held=set(), busy=set()).take) == []


def test_what_was_given_up_is_taken_by_whoever_has_too_little() -> None:
    """A released lease is free at once, and its epoch is kept."""
    group = table(4, A, B)
    held = give(group, A, 0, 1)
    for number in (2, 3):
        group.leases[number] = group.leases[number].taken_by(A, 5, SOON).released()

    assert [x.number for x in group.plan(B, NOW, held=set(), busy=set()).take] == [3, 2]
    assert {group.leases[number].epoch for number in (2, 3)} == {5}
    assert list(group.plan(A, NOW, held=held, busy=set()).take) == []


def test_a_dead_members_leases_are_free_once_they_end() -> None:
    """Neither its leases nor its part in the shares count from then on."""
    group = table(4, A, B)
    held = give(group, A, 0, 1)
    give(group, B, 2, 3)
    assert list(group.plan(A, NOW, held=held, busy=set()).take) == []

    later = SOON + timedelta(seconds=1)
    group.members["a"] = Member(A, later + timedelta(seconds=10))
    assert [x.number for x in group.plan(A, later, held=held, busy=set()).take] == [2, 3]


def test_a_restarted_process_takes_over_at_once_what_its_forerunner_held() -> None:
    """The same instance, a later incarnation: it does not wait for the end of the lease."""
    group = table(2, A)
    give(group, A, 0, 1)
    again = Me("a", "a-2")

    assert [x.number for x in group.plan(again, NOW, held=set(), busy=set()).take] == [0, 1]


def test_an_earlier_process_of_a_name_leaves_everything_to_the_later() -> None:
    """Two under one name do not take leases from each other for ever."""
    again = Me("a", "a-2")
    group = table(2, again)
    give(group, again, 0, 1)

    assert group.supersedes(A, NOW)
    assert not group.supersedes(again, NOW)
    assert list(group.plan(A, NOW, held=set(), busy=set()).take) == []
    assert not group.supersedes(A, SOON + timedelta(seconds=1))


def test_what_is_on_its_way_is_left_alone() -> None:
    """A lease that is being handed over is neither given up again nor taken back."""
    group = table(4, A, B)
    held = give(group, A, 0, 1, 2, 3)

    assert list(group.plan(A, NOW, held=held, busy={2, 3}).give_up) == []
    assert list(group.plan(A, NOW, held=held - {2, 3}, busy={2, 3}).take) == []


@pytest.mark.parametrize(
    ("lease", "free"),
    [
        (Lease(0), True),
        (Lease(0, "b", "b-1", 3, SOON), False),
        (Lease(0, "b", "b-1", 3, EARLIER), True),
        (Lease(0, "b", "b-1", 3, SOON).released(), True),
        (Lease(0, "a", "a-0", 3, SOON), True),
        (Lease(0, "a", "a-2", 3, SOON), False),
    ],
)
def test_a_lease_is_free_where_nobody_alive_has_it(lease: Lease, *, free: bool) -> None:
    """Never written, ended, released, or left behind by oneself."""
    assert lease.is_free_for(A, NOW) is free


def test_announcements_that_ended_long_ago_are_forgotten() -> None:
    """Not those that ended just now: a member may only be slow."""
    group = table(1, A)
    group.members["b"] = Member(B, EARLIER)
    group.members["c"] = Member(C, NOW - timedelta(hours=2))

    assert group.gone(NOW) == ["c"]


def test_a_read_of_a_replica_that_lags_loses_nothing() -> None:
    """What is known under a later revision stays."""
    known, read = table(2), table(2)
    known.leases[0] = Lease(0, "a", "a-1", 2, SOON, revision=9)
    read.leases[0] = Lease(0, "b", "b-1", 1, SOON, revision=4)
    read.leases[1] = Lease(1, "b", "b-1", 1, SOON, revision=5)

    merged = read.newer_of(known)
    assert (merged.leases[0].owner, merged.leases[1].owner) == ("a", "b")


def test_renewals_change_nothing_of_who_holds_what() -> None:
    """Takings and releases do."""
    group = table(1, A)
    before = group.holders()
    give(group, A, 0)
    taken = group.holders()
    give(group, A, 0, until=SOON + timedelta(seconds=5))

    assert before != taken == group.holders()


def test_what_is_written_is_read() -> None:
    """A lease and an announcement, whole."""
    lease = Lease(3, "a", "a-1", 7, SOON, revision=11)
    member = Member(A, SOON, revision=12)

    assert read_lease(3, lease.to_bytes(), 11) == lease
    assert read_lease(3, lease.released().to_bytes(), 11) == lease.released()
    assert read_member(member.to_bytes(), 12) == member
