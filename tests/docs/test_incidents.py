"""docs/operations.md: the incidents that an operator meets, each mended with the page's commands.

Each is brought about on real processes, and the commands are typed as the page has them; capital
words stand for what the operator reads elsewhere.
"""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from contracts import subjects
from contracts.notification import NotificationNotFound
from contracts.transaction import StepStatus, TransactionStatus
from contracts.types import NotificationId
from infra.clock import SYSTEM
from infra.ids import new_id
from services.cli.exits import Exit
from tests.docs.ward import WAIT_SECONDS, Ward, commands, open_ward

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("ward"),
]
COMPLETED, FAILED = TransactionStatus.COMPLETED, TransactionStatus.FAILED
CANCELLED, COMPENSATED = TransactionStatus.CANCELLED, TransactionStatus.COMPENSATED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Ward]:
    """Give the laboratory, one for all incidents."""
    folder: Path = tmp_path_factory.mktemp("ward") / ".tracseq"
    async with open_ward(folder) as ward:
        yield ward


@pytest_asyncio.fixture(loop_scope="module")
async def ward(opened: Ward) -> AsyncGenerator[Ward]:
    """Give the laboratory; what an incident stopped is well again after it."""
    yield opened
    for service in list(opened.stopped):
        await opened.revive(service)


async def test_a_stuck_step_is_asked_again(ward: Ward) -> None:
    """Its participant lost the order; the step is retried, and the saga completes."""
    saga_id = await ward.at("notify")
    await ward.until(saga_id, lambda view: view.status is FAILED)
    await ward.revive("notification", forgetful=True)

    look, show, retry = commands("A step is stuck after the point of no return")
    assert str(saga_id) in (await ward.type(look)).out
    assert "stuck" in (await ward.type(show, ID=saga_id)).out
    await ward.type(retry, ID=saga_id)
    view = await ward.until(saga_id, lambda view: view.status.ended)
    assert view.status is COMPLETED


async def test_a_step_is_completed_by_hand(ward: Ward) -> None:
    """Its participant refuses what it should do; a person did it, and says so."""
    saga_id = await ward.at("notify")
    nonsense = NotificationNotFound(notification_id=NotificationId(new_id()))
    await ward.answer(saga_id, "notify", nonsense)
    await ward.until(saga_id, lambda view: view.status is FAILED)

    show, tried, done = commands("A participant answers nonsense")
    assert nonsense.detail in (await ward.type(show, ID=saga_id)).out
    await ward.type(tried, ID=saga_id, STEP="notify")
    assert (await ward.show(saga_id)).status is FAILED
    await ward.type(done, ID=saga_id, STEP="notify")
    assert (await ward.show(saga_id)).status is COMPLETED


async def test_an_undo_that_failed_is_asked_again(ward: Ward) -> None:
    """Its participant was away; once it is back, the rest is undone."""
    saga_id = await ward.at("warn")
    ward.stop("storage")
    (cancel, *_) = commands("A saga must stop")
    await ward.type(cancel, ID=saga_id)
    await ward.until_step(saga_id, "reserve", StepStatus.STUCK)
    await ward.revive("storage", forgetful=True)

    look, retry = commands("An undo failed")
    assert str(saga_id) in (await ward.type(look)).out
    await ward.type(retry, ID=saga_id)
    view = await ward.until(saga_id, lambda view: view.status.ended)
    assert view.status is CANCELLED


async def test_an_unknown_point_of_no_return_is_decided_by_a_person(ward: Ward) -> None:
    """Nobody answered whether it was passed; it was not, and everything is undone."""
    saga_id = await ward.at("warn")
    ward.stop("storage")
    await ward.answer(saga_id, "warn", {})
    await ward.until(saga_id, lambda view: view.status is FAILED)
    await ward.revive("storage", forgetful=True)

    show, undo, done = commands("Nobody knows whether the point of no return was passed")
    assert "store" in (await ward.type(show, ID=saga_id)).out
    assert "complete" in done
    await ward.type(undo, ID=saga_id)
    view = await ward.until(saga_id, lambda view: view.status.ended)
    assert view.status is COMPENSATED


async def test_a_poison_reply_is_looked_at_and_dropped(ward: Ward) -> None:
    """No saga waits for it, so it lies among the dead letters and says why."""
    listed, show, drop = commands("A poison reply")
    await ward.reply(new_id(), "notify", str(new_id()), {"result": {}})
    numbers: list[int] = []
    until = SYSTEM.monotonic() + WAIT_SECONDS
    while not numbers:
        assert SYSTEM.monotonic() < until
        letters = (await ward.type(f"{listed} --json")).document
        numbers = [one["seq"] for one in letters if "no such saga" in one["reason"]]

    assert "no such saga" in (await ward.type(show, N=numbers[0])).out
    await ward.type(drop, N=numbers[0])
    assert (await ward.type(show, may_fail=True, N=numbers[0])).code != Exit.DONE


async def test_a_definition_changed_under_its_version_is_found(ward: Ward) -> None:
    """The command line's intake is not the service's: replay says where; the saga moves on."""
    saga_id = await ward.at("warn")
    lint, replay, migrate = commands("A wrong definition was released")
    await ward.type(lint)
    assert (await ward.type(replay, may_fail=True, ID=saga_id)).code != Exit.DONE
    await ward.type(migrate, ID=saga_id, N=2)
    assert (await ward.show(saga_id)).definition_version == 2
    await ward.revive("notification")
    assert (await ward.until(saga_id, lambda view: view.status.ended)).status is COMPLETED


async def test_sagas_wait_for_a_lost_participant(ward: Ward) -> None:
    """Those at its step are paused while it is away, and go on with it."""
    saga_ids = [await ward.at("warn"), await ward.at("warn")]
    tried, pause, resume = commands("A participant is lost")
    await ward.type(tried, STEP="warn")
    assert {(await ward.show(one)).status for one in saga_ids} == {TransactionStatus.RUNNING}
    await ward.type(pause, STEP="warn")
    for one in saga_ids:
        await ward.until(one, lambda view: view.status is TransactionStatus.PAUSED)
    await ward.revive("notification")
    await ward.type(resume)
    for one in saga_ids:
        assert (await ward.until(one, lambda view: view.status.ended)).status is COMPLETED


async def test_one_saga_or_many_are_stopped(ward: Ward) -> None:
    """What they did is undone; first it is said what would be."""
    saga_ids = [await ward.at("warn"), await ward.at("warn"), await ward.at("warn")]
    one, tried, many = commands("A saga must stop")
    await ward.type(one, ID=saga_ids[0])
    await ward.until(saga_ids[0], lambda view: view.status is CANCELLED)
    await ward.type(tried, STEP="warn")
    assert (await ward.show(saga_ids[1])).status is TransactionStatus.RUNNING
    await ward.type(many, STEP="warn")
    for saga_id in saga_ids:
        await ward.until(saga_id, lambda view: view.status is CANCELLED)


async def test_a_lost_timer_is_found_by_the_sweeper(ward: Ward) -> None:
    """Nothing is ordered: the sweeper hands in what the timer would have, and it shows."""
    saga_id = await ward.at("notify")
    stream = subjects.saga_stream(subjects.saga_partition(saga_id))
    purged = await ward.whole.bus.connection.purge(stream, subjects.saga_timer(saga_id, "notify"))
    assert purged == 1
    await ward.until_step(saga_id, "notify", StepStatus.STUCK)

    look, show = commands("A timer was lost")
    # A test does not wait a quarter of an hour.
    assert str(saga_id) in (await ward.type(look.replace("15m", "0s"))).out
    assert "nobody answered" in (await ward.type(show, ID=saga_id)).out
    await ward.revive("notification")
    assert (await ward.until(saga_id, lambda view: view.status is COMPLETED)).status is COMPLETED


async def test_a_saga_is_shown_as_it_was(ward: Ward) -> None:
    """At a time before its end it was running, and its steps stood as they did."""
    saga_id = await ward.submit()
    view = await ward.until(saga_id, lambda view: view.status.ended)
    assert view.status is COMPLETED
    then = view.steps[-1].asked_at
    assert then is not None

    state, show = commands("Somebody asks what happened at 14:00")
    said = await ward.type(f"{state} --json", ID=saga_id, TIME=then.isoformat())
    assert "running" in json.dumps(said.document)
    assert "completed" in (await ward.type(show, ID=saga_id)).out


async def test_a_fork_repeats_what_came_to_nothing(ward: Ward) -> None:
    """It begins at its first step, as a submission of its own, and completes."""
    saga_id = await ward.at("warn")
    (cancel, *_) = commands("A saga must stop")
    await ward.type(cancel, ID=saga_id)
    await ward.until(saga_id, lambda view: view.status is CANCELLED)
    await ward.revive("notification")

    tried, fork = commands("A saga came to nothing and should not have")
    await ward.type(tried, ID=saga_id, STEP="validate")
    forked = (await ward.type(f"{fork} --json", ID=saga_id, STEP="validate")).document
    view = await ward.until(forked["transaction_id"], lambda view: view.status.ended)
    assert view.status is COMPLETED, view.failure
    assert view.forked_from == saga_id


async def test_a_tampered_log_is_found(ward: Ward) -> None:
    """An entry was deleted: the chain says where."""
    saga_id = await ward.submit()
    await ward.until(saga_id, lambda view: view.status.ended)
    verify, export = commands("A saga's log was tampered with")
    await ward.type(verify, ID=saga_id)
    stream = subjects.saga_stream(subjects.saga_partition(saga_id))
    connection = ward.whole.bus.connection
    seqs = [raw.seq async for raw in connection.read(stream, subjects.saga_log(saga_id))]
    await connection.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seqs[2]})

    assert (await ward.type(verify, may_fail=True, ID=saga_id)).code != Exit.DONE
    out = ward.data.parent / "tampered.json"
    await ward.type(export, may_fail=True, ID=saga_id, FILE=out)
