"""Storage over the real broker: what it decides is in the log as a whole, whoever else is at it.

Two processes are two sets of handlers with a connection, a log cache and an inventory of their own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.errors import Refusal, Refused
from contracts.storage import (
    ContainerKind,
    ContainerRefused,
    CreateLocation,
    FindSamplePosition,
    GetContainer,
    GetGrid,
    GetLocation,
    ListPositions,
    LocationNameTaken,
    NoRoom,
    NotABox,
    PositionState,
    ReservationLost,
    ReservationOver,
    ReservationView,
    SampleNotStored,
)
from contracts.types import (
    LocationId,
    SampleId,
    Zone,
)
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.bus.provision import provision
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Log
from services.storage.handlers import places, questions, reservations
from services.storage.handlers.logs import Logs
from services.storage.store.inventory import InventoryBehind, InventoryKeeper
from tests.integration.storage.process import (
    COLD,
    Process,
    a_context,
    a_submission,
    positions_of,
    sample_of,
)


async def test_a_submission_goes_into_its_box_and_can_be_found(process: Process) -> None:
    """Reserved, then confirmed: the grid, the sample's position and the capacity agree."""
    of = a_submission()
    box = await process.box(await process.rack(await process.location()), "B01", 2)

    held = await process.reserve(of, await process.manifest(of, 3))
    assert isinstance(held, ReservationView)
    assert (held.state, held.positions, held.boxes) == ("held", 3, [box])
    assert (await process.confirm(of)).state == "confirmed"

    grid = await questions.on_get_grid(GetGrid(container_id=box), a_context(), logs=process.logs)
    assert not isinstance(grid, Refusal)
    assert grid.container.path == "Room 1 > FRZ-80C > R01 > B01"
    assert [p.state for p in grid.positions] == ["occupied", "occupied", "occupied", "free"]
    assert grid.positions[2].sample_id == sample_of(of, 2)
    found = await questions.on_find_sample(
        FindSamplePosition(sample_id=sample_of(of, 2)), a_context(), inventory=process.inventory
    )
    assert not isinstance(found, Refusal)
    assert (found.position, found.state) == ("B01", PositionState.OCCUPIED)
    assert await process.free() == 1


async def test_a_command_that_comes_again_has_no_second_effect(process: Process) -> None:
    """Everything twice, with the same message and with another one: once in the log."""
    of = a_submission()
    rows = await process.manifest(of, 2)
    context = a_context()
    again = replace(context, delivered=2)
    location = await process.location(context=context)
    assert await process.location(context=again) == location
    rack = await process.rack(location)
    fields = {"kind": ContainerKind.BOX, "name": "B01", "parent_id": rack}
    assert await process.add(context, **fields) == await process.add(again, **fields)
    steps: list[Callable[[Context], Awaitable[ReservationView | Refusal]]] = [
        lambda context: process.reserve(of, rows, context),
        lambda context: process.confirm(of, context),
        lambda context: process.release(of, context),
    ]

    for step in steps:
        context = a_context()
        first = await step(context)
        head = await process.logs.log.head()
        assert await step(replace(context, delivered=2)) == first
        assert await step(a_context()) == first
        assert await process.logs.log.head() == head


async def test_what_was_released_first_cannot_be_reserved_later(process: Process) -> None:
    """A reserve that is overtaken by its own compensation holds nothing."""
    of = a_submission()
    await process.box(await process.rack(await process.location()), "B01", 2)

    released = await process.release(of)

    assert (released.state, released.positions) == ("released", 0)
    late = await process.reserve(of, await process.manifest(of, 1))
    assert late == ReservationOver(submission_id=of, state="released")
    assert await process.free() == 4


async def test_no_room_at_one_temperature_holds_nothing_at_any(process: Process) -> None:
    """The refusal names the zone, and every position stays free."""
    of = a_submission()
    await process.box(await process.rack(await process.location(), Zone.REFRIGERATED), "B01", 2)

    refusal = await process.reserve(of, await process.manifest(of, 1))

    assert refusal == NoRoom(zone=COLD, needed=1, free=0)
    assert await process.free() == 4
    assert (await process.logs.reservations.get(of)).state is None


async def test_processes_that_reserve_at_once_share_the_room_exactly(
    processes: Sequence[Process],
) -> None:
    """20 submissions of 3 want 10 boxes of 4: 13 get them, nobody shares, none is lost."""
    first = processes[0]
    rack = await first.rack(await first.location())
    for number in range(10):
        await first.box(rack, f"B{number:02d}", 2)
    wanted = {a_submission(): number for number in range(20)}
    manifests = {of: await first.manifest(of, 3) for of in wanted}

    answers = await asyncio.gather(
        *(processes[n % 2].reserve(of, manifests[of]) for of, n in wanted.items())
    )

    held = [answer for answer in answers if isinstance(answer, ReservationView)]
    assert len(held) == 13
    assert {type(answer) for answer in answers} == {ReservationView, NoRoom}
    placed = [await positions_of(processes[1], answer.submission_id) for answer in held]
    assert all(len(positions) == 3 for positions in placed)
    assert len({position for positions in placed for position in positions}) == 39
    assert [await process.free() for process in processes] == [1, 1]


async def test_a_submission_that_reserves_twice_at_once_holds_one_set(
    processes: Sequence[Process],
) -> None:
    """Two messages for one submission, in two processes at the same moment, get one answer."""
    first = processes[0]
    rack = await first.rack(await first.location())
    for number in range(6):
        await first.box(rack, f"B{number:02d}", 1)
    of = a_submission()
    rows = await first.manifest(of, 3)

    answers = await asyncio.gather(
        *(process.reserve(of, rows) for process in (*processes, *processes))
    )

    assert all(answer == answers[0] for answer in answers)
    assert await first.free() == 3


@pytest.mark.parametrize("attempt", range(5))
async def test_confirm_release_and_expiry_in_any_race_leave_one_outcome(
    processes: Sequence[Process], attempt: int
) -> None:
    """Whoever is first, positions and reservation agree in both processes afterwards."""
    first, second = processes
    box = await first.box(await first.rack(await first.location()), "B01", 3)
    now = SYSTEM.now()
    of = a_submission()
    rows = await first.manifest(of, 5)
    in_the_past = a_context(now=now - timedelta(seconds=61))
    assert isinstance(await first.reserve(of, rows, in_the_past), ReservationView)
    confirming = a_context(now=now - timedelta(seconds=2))

    racers = [
        first.confirm(of, confirming),
        reservations.sweep_once(logs=second.logs, inventory=second.inventory, clock=SYSTEM),
        second.release(of) if attempt % 2 else first.confirm(of, a_context(now=now)),
    ]
    outcomes = await asyncio.gather(*racers, return_exceptions=True)

    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, Refused)
            assert isinstance(outcome.refusal, ReservationLost)
    state = (await second.logs.reservations.get(of)).state
    assert state is not None
    used = (await first.logs.require_container(box))[0].slots.values()
    if state.state == "confirmed":
        assert [slot.occupied for slot in used] == [True] * 5
    else:
        assert state.state in {"released", "expired"}
        assert list(used) == []
    assert [await process.free() for process in processes] == [9 - len(used)] * 2


async def test_an_overdue_hold_is_swept_away(process: Process) -> None:
    """The sweeper frees the positions, and a confirm that comes after is refused."""
    await process.box(await process.rack(await process.location()), "B01", 2)
    overdue, in_time = a_submission(), a_submission()
    long_ago = a_context(now=SYSTEM.now() - timedelta(hours=1))
    await process.reserve(overdue, await process.manifest(overdue, 2), long_ago)
    await process.reserve(in_time, await process.manifest(in_time, 1))

    swept = await reservations.sweep_once(
        logs=process.logs, inventory=process.inventory, clock=SYSTEM
    )

    assert swept == 1
    assert await process.free() == 3
    with pytest.raises(Refused) as refused:
        await process.confirm(overdue)
    assert refused.value.refusal == ReservationLost(submission_id=overdue, state="expired")
    assert (await process.confirm(in_time)).state == "confirmed"


async def test_ten_thousand_samples_get_their_positions_within_two_seconds(
    process: Process,
) -> None:
    """The largest manifest, over 100 boxes, is reserved and released again."""
    rack = await process.rack(await process.location())
    for number in range(110):
        await process.box(rack, f"B{number:03d}", 10)
    of = a_submission()
    rows = await process.manifest(of, 10_000)

    held = await process.reserve(of, rows)

    assert isinstance(held, ReservationView)
    assert (held.positions, len(held.boxes)) == (10_000, 100)
    assert await process.free() == 1_000
    await process.release(of)
    assert await process.free() == 11_000


async def test_the_positions_of_a_submission_are_listed_page_by_page(process: Process) -> None:
    """In the order they were taken, with the total on every page."""
    await process.box(await process.rack(await process.location()), "B01", 3)
    of = a_submission()
    await process.reserve(of, await process.manifest(of, 5))
    query = ListPositions(submission_id=of, page=2, page_size=2)

    page = await questions.on_list_positions(query, a_context(), inventory=process.inventory)

    assert [item.position for item in page.items] == ["A03", "B01"]
    assert (page.total, page.page, page.page_size) == (5, 2, 2)


async def test_a_box_can_be_seen_as_it_was(process: Process) -> None:
    """Before the reservation it was empty; before it was added there was none."""
    rack = await process.rack(await process.location())
    before = SYSTEM.now()
    box = await process.box(rack, "B01", 2)
    empty = SYSTEM.now()
    of = a_submission()
    await process.reserve(of, await process.manifest(of, 3))

    then = await questions.on_get_container(
        GetContainer(container_id=box, at=empty), a_context(), logs=process.logs
    )
    now = await questions.on_get_container(
        GetContainer(container_id=box), a_context(), logs=process.logs
    )

    assert (then.used, now.used) == (0, 3)
    assert now.seq > then.seq
    with pytest.raises(Refused, match="container_not_found"):
        await questions.on_get_container(
            GetContainer(container_id=box, at=before), a_context(), logs=process.logs
        )


async def test_what_is_not_there_is_said_with_its_id(process: Process) -> None:
    """Locations, containers and samples that nobody knows, and the grid of a rack."""
    rack = await process.rack(await process.location())
    unknown = new_id()

    with pytest.raises(Refused, match=f"location_not_found.*{unknown}"):
        await questions.on_get_location(
            GetLocation(location_id=LocationId(unknown)), a_context(), logs=process.logs
        )
    lost = await questions.on_find_sample(
        FindSamplePosition(sample_id=SampleId(unknown)), a_context(), inventory=process.inventory
    )
    assert lost == SampleNotStored(sample_id=SampleId(unknown))
    grid = await questions.on_get_grid(GetGrid(container_id=rack), a_context(), logs=process.logs)
    assert grid == NotABox(name="R01", kind=ContainerKind.RACK)


async def test_a_name_is_given_once_even_to_two_processes_at_the_same_moment(
    processes: Sequence[Process],
) -> None:
    """Of locations everywhere and of boxes in a rack: one of two wins, the other is told."""
    rack = await processes[0].rack(await processes[0].location())

    locations = await asyncio.gather(
        *(process.location("Cold Room") for process in processes), return_exceptions=True
    )
    boxes = await asyncio.gather(
        *(process.box(rack, "B01", 1) for process in processes), return_exceptions=True
    )

    lost = [answer for answer in (*locations, *boxes) if isinstance(answer, Refused)]
    assert [type(refused.refusal) for refused in lost] == [LocationNameTaken, ContainerRefused]
    parent = (await processes[0].logs.require_container(rack))[0]
    assert list(parent.children.values()) == [b for b in boxes if not isinstance(b, Refused)]


async def test_who_needs_the_inventory_is_told_soon_that_it_is_behind(nats_url: str) -> None:
    """An inventory that follows nothing is waited for within its bound, then handed back."""
    connection = await Connection.connect(nats_url, "storage")
    await provision(connection)
    log = Log(connection, "storage")
    behind = InventoryKeeper(log, wait_seconds=0.1)
    assert (await behind.current()).head == 0
    command = CreateLocation(name="Room 1")
    await places.on_create_location(command, a_context(), logs=Logs.of(log))

    with pytest.raises(InventoryBehind, match="2 entries behind"):
        await behind.current()
    await connection.close()
