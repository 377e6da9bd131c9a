"""The read model of notifications: what lists are answered from. Derived; rebuilt at any time."""

from contracts.aggregate import Loaded
from contracts.entry import Entry
from contracts.notification import ListNotifications, NotificationView
from contracts.types import Page
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel
from services.notification.domain import Notification

NOTIFICATIONS = ReadModel("notifications")


def view(loaded: Loaded[Notification]) -> NotificationView:
    """Show a notification as its log has it.

    Raises:
        LookupError: it does not exist.
    """
    notification = loaded.state
    if notification is None:
        raise LookupError(f"notification {loaded.key} does not exist")
    return NotificationView(
        notification_id=notification.notification_id,
        template=notification.template,
        title=notification.title,
        message=notification.message,
        deliveries=list(notification.deliveries),
        created_at=notification.requested_at,
        seq=loaded.seq,
    )


def document(loaded: Loaded[Notification]) -> Put:
    """Say what the read model shows of a notification."""
    shown = view(loaded)
    return Put(
        id=str(shown.notification_id),
        order=loaded.state.requested_seq if loaded.state else 0,
        view=shown.model_dump(mode="json"),
        fields={},
    )


class NotificationStore:
    """Answers lists of notifications."""

    def __init__(self, reader: Reader[Entry]) -> None:
        """Read through a reader of `NOTIFICATIONS`."""
        self._reader = reader

    async def page(self, query: ListNotifications) -> Page[NotificationView]:
        """List notifications, newest first.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
        """
        views, total = await self._reader.page(
            {}, page=query.page, page_size=query.page_size, min_seq=query.min_seq
        )
        return Page(
            items=[NotificationView.model_validate(one) for one in views],
            total=total,
            page=query.page,
            page_size=query.page_size,
        )
