"""The read model of transactions: what lists are answered from. Derived; rebuilt at any time."""

from contracts.transaction import ListTransactions, TransactionView
from contracts.types import Page
from infra.runtime.stream_source import Told
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel

TRANSACTIONS = ReadModel(
    "transactions", ask_by=("status", "saga_type"), counted=("status", "saga_type")
)


def document(shown: TransactionView) -> Put:
    """Say what the read model shows of a transaction."""
    return Put(
        id=str(shown.transaction_id),
        order=int(shown.started_at.timestamp() * 1_000_000),
        view=shown.model_dump(mode="json"),
        fields={"status": shown.status, "saga_type": shown.saga_type},
    )


class TransactionStore:
    """Answers lists of transactions."""

    def __init__(self, reader: Reader[Told]) -> None:
        """Read through a reader of `TRANSACTIONS`."""
        self._reader = reader

    async def page(self, query: ListTransactions) -> Page[TransactionView]:
        """List transactions, newest first.

        Raises:
            Refused: the store does not answer (`Unavailable`).
        """
        asked = {"status": query.status, "saga_type": query.saga_type}
        views, total = await self._reader.page(asked, page=query.page, page_size=query.page_size)
        return Page(
            items=[TransactionView.model_validate(one) for one in views],
            total=total,
            page=query.page,
            page_size=query.page_size,
        )
