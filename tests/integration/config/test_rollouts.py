"""Staged rollouts: some first, then all; or none, from the first refusal on."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from contracts.config import BeginRollout, DecideChange, MoveRollout, SetConfig
from contracts.config_queries import GetRelease, ListClients, ListRollouts
from contracts.config_refusals import NobodyRuns, NoRollout, RolloutUnderWay
from contracts.config_types import Release
from contracts.config_views import RolloutView
from infra.clock import SYSTEM
from infra.config.release import resolve
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.config.house import PRODUCTION, WAIT_SECONDS, House, blueprint, open_house

__all__ = ["laboratory"]

SERVICE = "sample-service"
INSTANCES = [f"lab-{number}" for number in range(20)]
CHANGE = BeginRollout(
    service=SERVICE,
    environment=PRODUCTION,
    values={"max_batch_size": 7},
    percents=(10, 50, 100),
    bake_seconds=0,
)


@pytest.fixture
async def house(laboratory: Laboratory, tmp_path: Path) -> AsyncGenerator[House]:
    """Run the service, and twenty instances that told of themselves."""
    async for one in open_house(laboratory, tmp_path):
        version = (await one.look(SERVICE)).version
        for instance in INSTANCES:
            await one.check_in(instance, version)
        yield one


async def release(house: House) -> Release:
    """Read the newest release."""
    found = await house.ask(GetRelease(service=SERVICE, environment=PRODUCTION))
    assert isinstance(found.release, Release)
    return found.release


async def newest(house: House) -> RolloutView:
    """Show the newest rollout."""
    found = await house.ask(ListRollouts(service=SERVICE, environment=PRODUCTION))
    assert isinstance(found[0], RolloutView)
    return found[0]


def in_force(told: Release, instance: str) -> object:
    """Say what an instance would run, as its client reads it."""
    settings = resolve(
        told.model_dump(mode="json"),
        service=SERVICE,
        environment=PRODUCTION,
        instance=instance,
    ).settings
    return settings["max_batch_size"].value


async def all_run(house: House, told: Release) -> None:
    """Have every instance say that it runs a release."""
    for instance in INSTANCES:
        await house.check_in(instance, told.version)


async def test_a_change_reaches_more_and_more_and_then_all(house: House) -> None:
    """Each stage waits for its members; a member of one is a member of the next."""
    await house.ask(CHANGE)
    reached: list[set[str]] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while (await newest(house)).status == "baking":
            told = await release(house)
            seen = {one for one in INSTANCES if in_force(told, one) == 7}
            if not reached or seen != reached[-1]:
                reached.append(seen)
            await all_run(house, told)
            await SYSTEM.sleep(0.02)
    assert (await newest(house)).status == "finished"
    assert [len(seen) for seen in reached[:2]] == [2, 10]
    assert reached[0] < reached[1]
    assert (await house.look(SERVICE)).config["max_batch_size"] == 7
    assert (await release(house)).overlay is None


async def test_nothing_goes_on_before_the_members_run_it(house: House) -> None:
    """Silence is no consent."""
    begun = await house.ask(CHANGE)
    await SYSTEM.sleep(0.5)
    assert (await newest(house)).stage == 0
    assert (await release(house)).version == begun.version


async def test_the_first_refusal_takes_the_change_back_from_all(house: House) -> None:
    """At most a tenth ever saw it; why is told."""
    begun = await house.ask(CHANGE)
    told = await release(house)
    seen = [one for one in INSTANCES if in_force(told, one) == 7]
    assert len(seen) == 2
    answer = await house.check_in(
        seen[0], begun.version - 1, refused_version=begun.version, error="too small for the robot"
    )
    assert answer.version == begun.version + 1
    rolled_back = await newest(house)
    assert (rolled_back.status, rolled_back.keys) == ("rolled_back", ["max_batch_size"])
    assert "too small for the robot" in str(rolled_back.why)
    assert {in_force(await release(house), one) for one in INSTANCES} == {1_000}
    clients = await house.ask(ListClients(service=SERVICE, environment=PRODUCTION))
    assert [one.instance for one in clients if not one.ok] == [seen[0]]


async def test_a_refusal_of_something_else_leaves_a_rollout_alone(house: House) -> None:
    """An instance repeats with each check-in what it could not take once."""
    edited = await house.ask(
        SetConfig(service=SERVICE, environment=PRODUCTION, name="note", value="x")
    )
    await house.check_in("lab-3", edited.version - 1, refused_version=edited.version, error="no")
    await house.ask(CHANGE)
    await house.check_in("lab-3", edited.version - 1, refused_version=edited.version, error="no")
    assert (await newest(house)).status == "baking"


async def test_while_one_is_under_way_nothing_else_is_changed_there(house: House) -> None:
    """It would not be known what was tried; by hand it is moved or taken back."""
    await house.ask(CHANGE)
    other = SetConfig(service=SERVICE, environment=PRODUCTION, name="note", value="x")
    assert (await house.refusal(RolloutUnderWay, other)).percent == 10
    await house.refusal(RolloutUnderWay, CHANGE)
    move = MoveRollout(service=SERVICE, environment=PRODUCTION, move="advance")
    await house.ask(move)
    assert len((await newest(house)).members) == 10
    await house.ask(move.model_copy(update={"move": "abort", "reason": "wrong day"}))
    assert (await newest(house)).why == "wrong day"
    await house.refusal(NoRollout, move)
    await house.ask(other)


async def test_it_needs_somebody_who_runs(laboratory: Laboratory, tmp_path: Path) -> None:
    """A share of nobody shows nothing."""
    async for house in open_house(laboratory, tmp_path):
        await house.refusal(NobodyRuns, CHANGE)


async def test_in_a_protected_environment_it_waits_for_consent(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """Then it begins with its first stage, in the name of who asked for it."""
    async for house in open_house(laboratory, tmp_path, protected=frozenset({PRODUCTION})):
        version = (await house.look(SERVICE)).version
        for instance in INSTANCES:
            await house.check_in(instance, version)
        asked = await house.ask(CHANGE.model_copy(update={"expected_version": version}))
        assert asked.change_request is not None
        assert await house.ask(ListRollouts(service=SERVICE, environment=PRODUCTION)) == []
        consent = DecideChange(change_request=asked.change_request, approve=True)
        await house.ask(consent, actor="grace")
        begun = await newest(house)
        assert (len(begun.members), begun.author) == (2, "ada")


async def test_a_rollout_goes_on_after_a_restart(
    house: House, laboratory: Laboratory, tmp_path: Path
) -> None:
    """All there is to know of it lies in the log and the bucket."""
    await house.ask(CHANGE)
    await laboratory.stop("config")
    await laboratory.start(blueprint(tmp_path))
    async with asyncio.timeout(WAIT_SECONDS):
        while (await newest(house)).status == "baking":
            await all_run(house, await release(house))
            await SYSTEM.sleep(0.02)
    assert (await newest(house)).status == "finished"
