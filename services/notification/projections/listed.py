"""Which read model the notification service keeps from its log."""

from contracts.entry import Entry
from infra.runtime.platform import Platform
from infra.runtime.projection import project_states
from infra.store.projector import Projector
from services.notification.domain import NOTIFICATION
from services.notification.store import NOTIFICATIONS, document


def notifications(platform: Platform) -> Projector[Entry]:
    """Keep the list of notifications."""
    log = platform.log
    return Projector(
        platform.service,
        platform.store,
        NOTIFICATIONS,
        log,
        project_states(log, NOTIFICATION, document),
        clock=platform.clock,
    )
