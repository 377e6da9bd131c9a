"""The transaction service, put together: every message and every saga input that it takes."""

from collections.abc import Sequence
from functools import partial

from contracts import saga_archive, saga_orders, saga_tools, subjects
from contracts import transaction as contract
from infra.bus.streams import SAGA_LEASES, consumer
from infra.lease.leases import Leases
from infra.lease.table import Me
from infra.log.forwarder import Forwarder
from infra.log.log import Log
from infra.runtime import Handler, Platform, Service, handle
from infra.settings import instance_of
from infra.store.queries import Reader
from infra.telemetry import tracing
from sagas import definitions
from services.catalog import NAMES
from services.transaction import domain
from services.transaction.handlers import (
    children,
    forks,
    inputs,
    orders,
    queries,
    starts,
    tools,
)
from services.transaction.handlers.archive import Archivist, on_archive
from services.transaction.handlers.bulk import BulkOrders
from services.transaction.handlers.inputs import Inputs
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.handlers.outbox import Outbox
from services.transaction.handlers.ownership import Ownership
from services.transaction.handlers.sweeper import Sweeper
from services.transaction.handlers.timers import Timers
from services.transaction.handlers.waiting import Waiting
from services.transaction.projections import listed as projections
from services.transaction.projections.auditor import Auditor
from services.transaction.settings import Settings
from services.transaction.store import TransactionStore

SAGAS_REMEMBERED = 2_000
"""Of each partition; those of four take about 100 MB, and one more is read in a millisecond."""


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    partitions = [_partition(platform, number) for number in range(subjects.SAGA_PARTITIONS)]
    waiting, leases = Waiting(), _leases(settings, platform)
    ownership = Ownership(leases)
    timers = Timers(platform.connection, waits=ownership.owns, clock=platform.clock)
    outbox = Outbox(platform.bus, timers)
    orchestrator = Orchestrator(partitions, outbox, timers, ownership, waiting=waiting)
    listed = projections.transactions(platform, partitions, ownership.watching(domain.SAGA))
    reader = Reader(platform.store, listed)
    store = TransactionStore(reader)
    auditor = Auditor(
        partitions,
        listed,
        reader=reader,
        every_seconds=settings.audit_seconds,
        clock=platform.clock,
    )
    archivist = Archivist(
        [_partition(platform, number) for number in range(subjects.SAGA_PARTITIONS)],
        platform.clock,
        after_days=settings.archive_after_days,
    )
    sweeper = Sweeper(
        store.due,
        orchestrator,
        ownership,
        platform.clock,
        every_seconds=settings.sweep_seconds,
        grace_seconds=settings.sweep_grace_seconds,
    )
    outside = Inputs(orchestrator, tracing.tracer_for(platform.service), platform.clock)
    claims, bulks = platform.log.of(domain.CLAIM), platform.log.of(domain.BULK)
    return Service(
        name="transaction",
        settings=settings,
        platform=platform,
        handlers=(
            handle(
                contract.SubmitManifest,
                partial(inputs.on_submit_manifest, claims=claims, orchestrator=orchestrator),
            ),
            handle(saga_archive.ArchiveTransactions, partial(on_archive, archivist=archivist)),
            handle(
                contract.GetTransaction,
                partial(queries.on_get, orchestrator=orchestrator, waiting=waiting),
            ),
            *starts.starting(definitions.ALL, NAMES, orchestrator),
            *_of_children(orchestrator),
            *_questions(orchestrator, store),
            *_orders(orchestrator, BulkOrders(log=bulks, orchestrator=orchestrator, store=store)),
        ),
        leases=leases,
        leased={
            number: (
                (consumer(subjects.replies_consumer(number)), outside.on_reply),
                (consumer(subjects.due_consumer(number)), outside.on_due),
            )
            for number in range(subjects.SAGA_PARTITIONS)
        },
        projections=(listed,),
        tasks={
            "archive": archivist.run,
            "audit": auditor.run,
            "arm timers": timers.run_late,
            "cancel timers": timers.run,
            "sweep": sweeper.run,
        },
        forwarders=tuple(
            Forwarder(log, clock=platform.clock) for log in (platform.log, *partitions)
        ),
    )


def _of_children(orchestrator: Orchestrator) -> Sequence[Handler]:
    """List what sagas send to begin and undo others."""
    return (
        handle(saga_orders.StartChild, partial(children.on_start_child, orchestrator=orchestrator)),
        handle(saga_orders.UndoChild, partial(children.on_undo_child, orchestrator=orchestrator)),
    )


def _questions(orchestrator: Orchestrator, store: TransactionStore) -> Sequence[Handler]:
    """List what looks into transactions and changes nothing."""
    return (
        handle(
            contract.GetTransactionHistory, partial(queries.on_history, orchestrator=orchestrator)
        ),
        handle(contract.ExportTransaction, partial(queries.on_export, orchestrator=orchestrator)),
        handle(saga_tools.GetTransactionState, partial(tools.on_state, orchestrator=orchestrator)),
        handle(saga_tools.VerifyTransaction, partial(tools.on_verify, orchestrator=orchestrator)),
        handle(saga_tools.ReplayTransaction, partial(tools.on_replay, orchestrator=orchestrator)),
        handle(saga_tools.DrawTransaction, partial(tools.on_draw, orchestrator=orchestrator)),
        handle(contract.ListTransactions, partial(queries.on_list, store=store)),
        handle(saga_tools.ListSagaTypes, tools.on_types),
        handle(saga_tools.DrawSagaType, tools.on_draw_type),
        handle(
            saga_tools.WhatIf, partial(tools.on_what_if, orchestrator=orchestrator, store=store)
        ),
    )


def _orders(orchestrator: Orchestrator, bulk: BulkOrders) -> Sequence[Handler]:
    """List what people tell transactions, one or many."""
    return (
        *(
            handle(order, partial(orders.on_order, orchestrator=orchestrator))
            for order in orders.ORDERS
        ),
        handle(saga_orders.SignalTransaction, partial(orders.on_signal, orchestrator=orchestrator)),
        handle(saga_orders.ForkTransaction, partial(forks.on_fork, orchestrator=orchestrator)),
        handle(saga_orders.OrderTransactions, bulk.on_order),
        handle(saga_tools.CancelBulkOrder, bulk.on_cancel),
        handle(saga_tools.GetBulkOrder, bulk.on_get),
    )


def _partition(platform: Platform, number: int) -> Log:
    return Log(
        platform.connection,
        platform.service,
        stream=subjects.saga_stream(number),
        filter=subjects.saga_subjects(number, "log.>"),
        gathers=platform.common.profile == "safe",
        remembers=SAGAS_REMEMBERED,
        clock=platform.clock,
    )


def _leases(settings: Settings, platform: Platform) -> Leases:
    return Leases(
        platform.connection,
        platform.service,
        SAGA_LEASES,
        Me(instance_of(platform.common, settings), str(platform.ids())),
        life_seconds=settings.lease_seconds,
        clock=platform.clock,
    )
