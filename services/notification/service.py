"""The notification service, put together: what it takes, what it keeps, who sends e-mails."""

from functools import partial

import structlog

from contracts import notification as contract
from infra.log.forwarder import Forwarder
from infra.runtime import Platform, Service, handle
from infra.runtime.live import Live as LiveOf
from infra.store.queries import Reader
from services.notification import domain, handlers
from services.notification.projections.listed import notifications as listed_notifications
from services.notification.projections.mail import Mailer
from services.notification.projections.postman import Postman
from services.notification.settings import Live, Settings
from services.notification.store import NotificationStore

_log = structlog.get_logger(__name__)


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    notifications = platform.log.of(domain.NOTIFICATION)
    listed = listed_notifications(platform)
    store = NotificationStore(Reader(platform.store, listed))
    mailer = Mailer.of(settings, platform.breakers)
    if mailer is None:
        _log.warning("notification.no_mail_server", consequence=domain.NO_MAIL_SERVER)
    live = LiveOf[Live].of(platform, settings, Live)
    postman = Postman(
        notifications, mailer, settings, live=lambda: live.current, clock=platform.clock
    )
    send = partial(handlers.on_send, notifications=notifications, mail_server=mailer is not None)
    return Service(
        name="notification",
        settings=settings,
        platform=platform,
        handlers=(
            handle(contract.SendNotification, send),
            handle(contract.GetNotification, partial(handlers.on_get, notifications=notifications)),
            handle(contract.ListNotifications, partial(handlers.on_list, store=store)),
        ),
        projections=(listed,),
        forwarders=(Forwarder(platform.log, clock=platform.clock),),
        tasks={"send e-mails": postman.run},
        live=live,
    )
