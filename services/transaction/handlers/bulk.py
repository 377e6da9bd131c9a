"""Orders to many transactions: selected once, recorded, and given to one after the other.

A redelivered command goes on where its log says that it was; each transaction is told under an id
derived from the order's, so that whoever was told before does nothing twice. What an order leads to
is decided by the engine, one transaction at a time.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from contracts.errors import FieldError, InvalidInput, Refused
from contracts.saga_orders import BulkOrderView, OrderTransactions
from contracts.saga_tools import (
    BulkOrdered,
    BulkOrderNotFound,
    CancelBulkOrder,
    GetBulkOrder,
)
from contracts.transaction import OrderKind
from contracts.types import TransactionId
from infra.bus.context import Context
from infra.log.log import Aggregates
from services.transaction import domain
from services.transaction.domain import BulkOrder
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.handlers.orders import Said, give
from services.transaction.store import TransactionStore

AT_ONCE: Final = 16
"""Transactions that one bulk order is given to at the same time, and then recorded together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOrders:
    """What carries out orders to many."""

    log: Aggregates[BulkOrder]
    orchestrator: Orchestrator
    store: TransactionStore

    async def on_order(self, command: OrderTransactions, context: Context) -> BulkOrderView:
        """Give an order to all that a filter selects, and answer once it reached the last."""
        _check(command)
        bulk_id = UUID(context.message_id)
        if command.dry_run:
            return await self._try(command, bulk_id, context)
        bulk = (await self.log.get(bulk_id)).state
        if bulk is None:
            selected = await self.store.select(command.filter, command.limit)
            bulk = await self._begin(command, bulk_id, selected, context)
        return (await self._carry_on(bulk, context)).view()

    async def on_cancel(self, command: CancelBulkOrder, context: Context) -> BulkOrderView:
        """Stop an order; whoever carries it out ends it after those who are being told."""
        await self._load(command.bulk_id)
        decide = partial(domain.cancel_bulk, reason=command.reason)
        loaded = await self.log.execute(command.bulk_id, decide, context)
        return _there(loaded.state, command.bulk_id).view()

    async def on_get(self, query: GetBulkOrder, context: Context) -> BulkOrderView:
        """Show how far an order is."""
        del context
        return (await self._load(query.bulk_id)).view()

    async def _load(self, bulk_id: UUID) -> BulkOrder:
        return _there((await self.log.get(bulk_id)).state, bulk_id)

    async def _begin(
        self,
        command: OrderTransactions,
        bulk_id: UUID,
        selected: list[TransactionId],
        context: Context,
    ) -> BulkOrder:
        ordered = BulkOrdered(
            bulk_id=bulk_id,
            order=command.order,
            reason=command.reason,
            transaction_ids=selected,
            step=command.step,
            output=command.output,
            version=command.version,
        )
        loaded = await self.log.execute(
            bulk_id, lambda known: [] if known else [ordered], context, new=True
        )
        return _there(loaded.state, bulk_id)

    async def _carry_on(self, bulk: BulkOrder, context: Context) -> BulkOrder:
        while not bulk.finished:
            after = bulk.reached
            # Nobody more is told once it is cancelled: there is only its end to be recorded.
            ahead = () if bulk.cancelled else bulk.ahead(AT_ONCE)
            done, refused = await self._give(_said(bulk), ahead, context, dry_run=False)
            loaded = await self.log.execute(
                bulk.bulk_id,
                partial(domain.advance, after=after, done=done, refused=refused),
                context.part(f"after-{after}" + ("-cancelled" if bulk.cancelled else "")),
            )
            bulk = _there(loaded.state, bulk.bulk_id)
        return bulk

    async def _give(
        self, said: Said, ids: tuple[TransactionId, ...], context: Context, *, dry_run: bool
    ) -> tuple[list[TransactionId], dict[TransactionId, str]]:
        """Give an order to some; say who followed it, and why others could not.

        Raises:
            Retryable: the broker is unwell; those who were told were told.
        """
        told = [self._tell(said, one, context, dry_run=dry_run) for one in ids]
        # All are waited for, so that none goes on while the same command is handled again.
        answers = await asyncio.gather(*told, return_exceptions=True)
        done: list[TransactionId] = []
        refused: dict[TransactionId, str] = {}
        for one, answer in zip(ids, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                done.append(one)
            else:
                refused[one] = answer
        return done, refused

    async def _tell(
        self, said: Said, one: TransactionId, context: Context, *, dry_run: bool
    ) -> str | None:
        """Give an order to one transaction; say why it could not follow, None where it could."""
        try:
            await give(said, one, context.part(one), self.orchestrator, dry_run=dry_run)
        except Refused as refused:
            return refused.refusal.to_problem().detail
        except ValueError as error:
            # Its definition or its log is damaged: that must not keep the order from the others.
            return str(error)
        return None

    async def _try(
        self, command: OrderTransactions, bulk_id: UUID, context: Context
    ) -> BulkOrderView:
        """Select and decide, and change nothing."""
        selected = await self.store.select(command.filter, command.limit)
        done_in_all, refused_in_all = 0, dict[TransactionId, str]()
        for start in range(0, len(selected), AT_ONCE):
            some = tuple(selected[start : start + AT_ONCE])
            done, refused = await self._give(_asked(command), some, context, dry_run=True)
            done_in_all += len(done)
            refused_in_all |= refused
        return BulkOrderView(
            bulk_id=bulk_id,
            order=command.order,
            dry_run=True,
            selected=len(selected),
            done=done_in_all,
            refused=refused_in_all,
            finished=True,
        )


def _there(bulk: BulkOrder | None, bulk_id: UUID) -> BulkOrder:
    if bulk is None:
        raise Refused(BulkOrderNotFound(bulk_id=bulk_id))
    return bulk


def _check(command: OrderTransactions) -> None:
    migrates = command.order is OrderKind.MIGRATE
    if migrates == (command.version is not None):
        return
    problem = FieldError(
        field="version",
        value=None if command.version is None else str(command.version),
        problem="it is needed to migrate" if migrates else f"{command.order} takes no version",
        remedy="Name the version to go on under." if migrates else "Leave it out.",
    )
    raise Refused(InvalidInput(count=1, errors=[problem]))


def _asked(command: OrderTransactions) -> Said:
    return Said(
        order=command.order,
        reason=command.reason,
        step=command.step,
        output=command.output,
        version=command.version,
    )


def _said(bulk: BulkOrder) -> Said:
    return Said(
        order=bulk.order,
        reason=bulk.reason,
        step=bulk.step,
        output=bulk.output,
        version=bulk.version,
    )
