"""The transaction service, put together: every message and every saga input that it takes."""

from functools import partial

from contracts import saga_archive, saga_orders, subjects
from contracts import transaction as contract
from infra.bus.streams import SAGA_LEASES, consumer
from infra.lease.leases import Leases
from infra.lease.table import Me
from infra.log.forwarder import Forwarder
from infra.log.log import Log
from infra.runtime import Platform, Service, handle
from infra.settings import instance_of
from infra.store.queries import Reader
from infra.telemetry import tracing
from services.transaction import domain
from services.transaction.handlers import children, inputs, queries
from services.transaction.handlers.archive import Archivist, on_archive
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
    waiting, timers, leases = Waiting(), Timers(platform.connection), _leases(settings, platform)
    ownership = Ownership(leases)
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
    claims = platform.log.of(domain.CLAIM)
    return Service(
        name="transaction",
        settings=settings,
        platform=platform,
        handlers=(
            handle(
                contract.SubmitManifest,
                partial(inputs.on_submit_manifest, claims=claims, orchestrator=orchestrator),
            ),
            handle(
                saga_orders.StartChild,
                partial(children.on_start_child, orchestrator=orchestrator),
            ),
            handle(
                saga_orders.UndoChild, partial(children.on_undo_child, orchestrator=orchestrator)
            ),
            handle(
                contract.GetTransaction,
                partial(queries.on_get, orchestrator=orchestrator, waiting=waiting),
            ),
            handle(
                contract.GetTransactionHistory,
                partial(queries.on_history, orchestrator=orchestrator),
            ),
            handle(
                contract.ExportTransaction, partial(queries.on_export, orchestrator=orchestrator)
            ),
            handle(contract.ListTransactions, partial(queries.on_list, store=store)),
            handle(saga_archive.ArchiveTransactions, partial(on_archive, archivist=archivist)),
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
            "cancel timers": timers.run,
            "sweep": sweeper.run,
        },
        forwarders=tuple(
            Forwarder(log, clock=platform.clock) for log in (platform.log, *partitions)
        ),
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
