"""Releases as they were and as they come: one of a version or a time, all of them, the next one.

A release is found by where it lies in the log, so that none is slower to read in a long history.
"""

from datetime import datetime

from contracts.config_queries import GetRelease, LookConfig, ReleaseHistory
from contracts.config_refusals import ConfigNotFound
from contracts.config_types import Environment
from contracts.config_views import ReleaseLine, ReleaseShown
from contracts.entry import Entry
from contracts.errors import Refused
from contracts.types import Page
from infra.bus.context import Context
from services.config.domain.release import RELEASE, Current, released_in, version
from services.config.handlers.desk import Desk, entry_of, key
from services.config.handlers.waiting import Waiting

SEARCHED_MAX = 5_000
"""Newest releases that are searched for a key."""


async def on_release(
    query: GetRelease, context: Context, *, desk: Desk, waiting: Waiting
) -> ReleaseShown:
    """Show a release whole."""
    del context
    if query.version is None and query.at is None:
        await until_another(query, query.environment, waiting, desk)
    current = await in_place(desk, query.service, query.environment)
    if query.version is not None:
        entry = await entry_of(desk, (query.service, query.environment), current, query.version)
        return _shown(entry)
    if query.at is not None:
        return _shown(await _at(desk, current, query.at))
    return ReleaseShown(
        release=current.release,
        version=current.release.version,
        at=current.at,
        author=current.author,
        cause=current.cause,
        reason=current.reason,
    )


def _shown(entry: Entry) -> ReleaseShown:
    released = released_in(entry)
    if released is None:
        raise LookupError(f"entry {entry.number} of {entry.subject} holds no release")
    return ReleaseShown(
        release=released.release,
        version=released.release.version,
        at=entry.at,
        author=released.author,
        cause=released.cause,
        reason=released.reason,
    )


async def _at(desk: Desk, current: Current, at: datetime) -> Entry:
    """Find the newest release of then: the times of a log only grow."""
    place = (current.release.service, current.release.environment)
    found: Entry | None = None
    low, high = 1, current.release.version
    while low <= high:
        middle = (low + high) // 2
        entry = await entry_of(desk, place, current, middle)
        if entry.at <= at:
            found, low = entry, middle + 1
        else:
            high = middle - 1
    if found is None:
        what = f"configuration in {place[1]} at {at.isoformat()}"
        raise Refused(ConfigNotFound(service=place[0], what=what))
    return found


async def on_history(query: ReleaseHistory, context: Context, *, desk: Desk) -> Page[ReleaseLine]:
    """List what was changed, newest first."""
    del context
    current = await in_place(desk, query.service, query.environment)
    newest = current.release.version
    first = (query.page - 1) * query.page_size
    if query.key is None:
        upper = newest - first
        wanted = range(upper, max(0, upper - query.page_size), -1)
        lines = [_line(entry) for entry in await desk.entries(current, wanted)]
        total = newest
    else:
        searched = range(newest, max(0, newest - SEARCHED_MAX), -1)
        all_lines = [_line(entry) for entry in await desk.entries(current, searched)]
        named = [one for one in all_lines if any(c.key == query.key for c in one.changes)]
        lines, total = named[first : first + query.page_size], len(named)
    return Page(items=lines, total=total, page=query.page, page_size=query.page_size)


def _line(entry: Entry) -> ReleaseLine:
    shown, released = _shown(entry), released_in(entry)
    overlay = shown.release.overlay
    return ReleaseLine(
        version=shown.version,
        cause=shown.cause,
        author=shown.author,
        actor=entry.actor,
        at=entry.at,
        reason=shown.reason,
        changes=list(released.changes) if released else [],
        sha256=shown.release.sha256,
        rollout_percent=overlay.percents[overlay.stage] if overlay else None,
    )


async def in_place(desk: Desk, service: str, environment: Environment) -> Current:
    """Load what is in force.

    Raises:
        Refused: nothing was ever set for the service.
    """
    current = (await desk.log.load(RELEASE, key(service, environment))).state
    if current is None:
        raise Refused(ConfigNotFound(service=service, what=f"configuration in {environment}"))
    return current


async def until_another(
    query: LookConfig | GetRelease, environment: Environment, waiting: Waiting, desk: Desk
) -> None:
    """Wait until there is another version than the one known, or the wait is over.

    Raises:
        Refused: too many wait already (`Unavailable`).
    """
    if query.known is None or query.wait_seconds == 0:
        return
    name = key(query.service, environment)
    async with waiting.on(name, query.wait_seconds) as news:
        while True:
            current = (await desk.log.load(RELEASE, name)).state
            if version(current) != query.known or not await news():
                return
