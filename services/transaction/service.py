"""The transaction service, put together: every message and every saga input that it takes."""

from functools import partial

from contracts import subjects
from contracts import transaction as contract
from infra.bus.streams import consumer
from infra.log.forwarder import Forwarder
from infra.log.log import Log
from infra.runtime import Platform, Service, handle
from infra.store.queries import Reader
from infra.telemetry import tracing
from services.transaction import domain, projections
from services.transaction.handlers import inputs, queries
from services.transaction.handlers.inputs import Inputs
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.handlers.waiting import Waiting
from services.transaction.settings import Settings
from services.transaction.store import TransactionStore


def build(settings: Settings, platform: Platform) -> Service:
    """Put the service together; nothing runs yet."""
    partitions = [_partition(platform, number) for number in range(subjects.SAGA_PARTITIONS)]
    waiting = Waiting()
    orchestrator = Orchestrator(partitions, platform.bus, waiting)
    listed = projections.transactions(platform, orchestrator.load)
    store = TransactionStore(Reader(platform.store, listed))
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
        ),
        consumers=(
            (consumer("transaction-replies"), outside.on_reply),
            *(
                (consumer(f"transaction-due-{number}"), outside.on_due)
                for number in range(subjects.SAGA_PARTITIONS)
            ),
        ),
        projections=(listed,),
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
        clock=platform.clock,
    )
