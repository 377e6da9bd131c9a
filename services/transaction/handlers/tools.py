"""Looking into transactions: state at any time, hash chain, replay, pictures, what-if."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from contracts import saga_tools as contract
from contracts.entry import GENESIS, BrokenChainError, hash_of, verify_chain
from contracts.errors import Refused
from contracts.saga_tools import (
    DiagramView,
    Drawing,
    OutcomeChange,
    ReplayView,
    SagaTypes,
    SagaTypeUnknown,
    SagaTypeView,
    StateNotFound,
    StateView,
    VerificationView,
    WhatIfView,
)
from contracts.transaction import TransactionFilter, TransactionNotFound, TransactionStatus
from contracts.types import TransactionId
from infra.bus.context import Context
from sagas import definitions
from sagas.definitions import UnknownDefinitionError, find
from sagas.engine.definition import Definition
from sagas.engine.diagram import draw_definition, draw_saga, svg_definition, svg_saga
from sagas.engine.state import describe_state, fold
from sagas.engine.validate import validate
from sagas.replay.replay import replay
from sagas.replay.what_if import run_again
from services.catalog import NAMES
from services.transaction import domain
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.store import TransactionStore

ENDED: Final = [status for status in TransactionStatus if status.ended]


async def on_state(
    query: contract.GetTransactionState, context: Context, *, orchestrator: Orchestrator
) -> StateView:
    """Show the whole state, now or as it was."""
    del context
    transaction_id, seq, at = query.transaction_id, query.seq, query.at
    entries = await orchestrator.of(transaction_id).history(transaction_id)
    then = [entry for entry in entries if at is None or entry.at <= at]
    if not then:
        raise Refused(TransactionNotFound(transaction_id=transaction_id))
    counted = [entry for entry in then if seq is None or entry.seq <= seq]
    if seq is not None and (not counted or counted[-1].seq != seq):
        raise Refused(StateNotFound(transaction_id=transaction_id, seq=seq))
    return StateView(
        transaction_id=transaction_id,
        seq=counted[-1].seq,
        transitions=len(counted),
        at=counted[-1].at,
        state=describe_state(fold(counted)),
    )


async def on_verify(
    query: contract.VerifyTransaction, context: Context, *, orchestrator: Orchestrator
) -> VerificationView:
    """Check the hash chain, and give its head."""
    del context
    saga_id = query.transaction_id
    bodies = await orchestrator.of(saga_id).log.bodies(domain.SAGA, saga_id)
    if not bodies:
        raise Refused(TransactionNotFound(transaction_id=saga_id))
    good, problem = _whole(bodies)
    return VerificationView(
        transaction_id=saga_id,
        whole=problem is None,
        entries=good,
        head=hash_of(bodies[good - 1]) if good else GENESIS,
        problem=problem,
    )


def _whole(bodies: Sequence[bytes]) -> tuple[int, str | None]:
    """Count the entries that hold together from the first on, and say what breaks the next."""
    taken = 0

    def taking() -> Iterator[bytes]:
        nonlocal taken
        for body in bodies:
            taken += 1
            yield body

    try:
        return verify_chain(taking()), None
    except BrokenChainError as error:
        # The last one taken breaks it.
        return taken - 1, str(error)


async def on_replay(
    query: contract.ReplayTransaction, context: Context, *, orchestrator: Orchestrator
) -> ReplayView:
    """Replay one transaction through today's definition."""
    del context
    report = replay([await _export(query.transaction_id, orchestrator)])
    return ReplayView(
        transaction_id=query.transaction_id,
        same=report.ok,
        transitions=report.transitions,
        divergence=report.diverged[0].to_json() if report.diverged else None,
        problem=report.unreplayable[0].problem if report.unreplayable else None,
    )


async def on_draw(
    query: contract.DrawTransaction, context: Context, *, orchestrator: Orchestrator
) -> DiagramView:
    """Draw one transaction's way."""
    del context
    state = (await orchestrator.load(query.transaction_id)).state
    if state is None:
        raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
    definition = _found(state.saga_type, state.version)
    svg = query.format is Drawing.SVG
    return DiagramView(
        title=f"{state.saga_type} {query.transaction_id}",
        format=query.format,
        content=svg_saga(definition, state) if svg else draw_saga(definition, state),
    )


async def on_types(query: contract.ListSagaTypes, context: Context) -> SagaTypes:
    """List every definition."""
    del query, context
    return SagaTypes(items=[_type_view(definition) for definition in definitions.ALL])


async def on_draw_type(query: contract.DrawSagaType, context: Context) -> DiagramView:
    """Draw one definition."""
    del context
    definition = _found(query.saga_type, query.version)
    svg = query.format is Drawing.SVG
    return DiagramView(
        title=f"{definition.saga_type} version {definition.version}",
        format=query.format,
        content=svg_definition(definition) if svg else draw_definition(definition),
    )


async def on_what_if(
    query: contract.WhatIf,
    context: Context,
    *,
    orchestrator: Orchestrator,
    store: TransactionStore,
) -> WhatIfView:
    """Run recorded transactions through another version."""
    del context
    definition = _found(query.saga_type, query.version)
    wanted = TransactionFilter(saga_type=query.saga_type, status=ENDED)
    recorded, under = Counter[str](), Counter[str]()
    changed: list[OutcomeChange] = []
    for transaction_id in await store.select(wanted, query.newest):
        entries = await orchestrator.of(transaction_id).history(transaction_id)
        course = run_again(entries, definition)
        if course is None:
            continue
        recorded[course.recorded] += 1
        under[course.under] += 1
        if not course.same:
            changed.append(
                OutcomeChange(
                    transaction_id=transaction_id,
                    recorded=course.recorded,
                    under=course.under,
                    at_step=course.at_step,
                )
            )
    total = recorded.total()
    return WhatIfView(
        saga_type=definition.saga_type,
        version=definition.version,
        transactions=total,
        same=total - len(changed),
        changed=changed,
        outcomes={"recorded": dict(recorded), "under": dict(under)},
    )


async def _export(transaction_id: TransactionId, orchestrator: Orchestrator) -> dict[str, object]:
    raws = await orchestrator.of(transaction_id).log.raws(domain.SAGA, transaction_id)
    if not raws:
        raise Refused(TransactionNotFound(transaction_id=transaction_id))
    return {
        "transaction_id": str(transaction_id),
        "entries": [{"seq": raw.seq, "body": raw.body.decode()} for raw in raws],
    }


def _found(saga_type: str, version: int | None) -> Definition:
    versions = [one.version for one in definitions.ALL if one.saga_type == saga_type]
    try:
        return find(saga_type, version or max(versions, default=1))
    except UnknownDefinitionError as error:
        raise Refused(SagaTypeUnknown(because=str(error))) from None


def _type_view(definition: Definition) -> SagaTypeView:
    missing = domain.missing_services(definition, NAMES)
    return SagaTypeView(
        saga_type=definition.saga_type,
        version=definition.version,
        hash=definition.hash,
        steps=[step.name for step in definition.steps],
        starts_with=definition.starts_with.contract.type,
        runnable=not missing,
        missing_services=missing,
        faults=[str(fault) for fault in validate(definition)],
    )
