"""Message in, decide on the log, answer out. Nothing is sent from here."""

from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.notification import (
    GetNotification,
    ListNotifications,
    NotificationNotFound,
    NotificationView,
    SendNotification,
)
from contracts.types import NotificationId, Page
from infra.bus.context import Context
from infra.log.log import Aggregates
from services.notification import domain
from services.notification.domain import Notification
from services.notification.store import NotificationStore, view


async def on_send(
    command: SendNotification,
    context: Context,
    *,
    notifications: Aggregates[Notification],
    mail_server: bool,
) -> NotificationView:
    """Tell people; the answer says how far each delivery came, and e-mails go out after it."""
    notification_id = NotificationId(context.derive("notification"))
    loaded = await notifications.execute(
        notification_id,
        lambda current: domain.request(current, notification_id, command, mail_server=mail_server),
        context,
        new=True,
    )
    return view(loaded)


async def on_get(
    query: GetNotification, context: Context, *, notifications: Aggregates[Notification]
) -> NotificationView:
    """Show a notification as it is, or as it was."""
    del context
    loaded: Loaded[Notification] = (
        await notifications.get(query.notification_id)
        if query.at is None
        else await notifications.at(query.notification_id, query.at)
    )
    if loaded.state is None:
        raise Refused(NotificationNotFound(notification_id=query.notification_id))
    return view(loaded)


async def on_list(
    query: ListNotifications, context: Context, *, store: NotificationStore
) -> Page[NotificationView]:
    """List notifications from the read model."""
    del context
    return await store.page(query)
