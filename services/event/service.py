"""The event service, put together: every message that it takes, every read model that it keeps."""

from functools import partial

from contracts import event as contract
from contracts import subjects
from infra.bus.advisories import Sweeper
from infra.bus.dead import DeadLetters
from infra.bus.streams import consumer
from infra.http.sse import BusFeed, stream_route
from infra.runtime import Platform, Service, handle
from infra.store.queries import Reader
from services.event import handlers, projections
from services.event.settings import Settings
from services.event.store import TimelineStore


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    facts = projections.timeline(platform, subjects.EVENTS)
    bench = projections.timeline(platform, subjects.LAB)
    store = TimelineStore(Reader(platform.store, facts), Reader(platform.store, bench))
    letters = DeadLetters(platform.connection)
    sweeper = Sweeper(platform.connection)
    return Service(
        name="event",
        settings=settings,
        platform=platform,
        handlers=(
            handle(contract.PublishLabEvent, partial(handlers.on_publish, bus=platform.bus)),
            handle(contract.ListEvents, partial(handlers.on_list, store=store)),
            handle(contract.ListDeadLetters, partial(handlers.on_list_letters, letters=letters)),
            handle(contract.GetDeadLetter, partial(handlers.on_get_letter, letters=letters)),
            handle(contract.ReplayDeadLetter, partial(handlers.on_replay_letter, letters=letters)),
            handle(contract.DropDeadLetter, partial(handlers.on_drop_letter, letters=letters)),
        ),
        consumers=((consumer("event-sweeper"), sweeper.on_advisory),),
        projections=(facts, bench),
        routes=(stream_route(BusFeed(platform.bus), clock=platform.clock),),
    )
