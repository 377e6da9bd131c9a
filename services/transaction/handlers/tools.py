"""Looking into transactions: state at any time, hash chain, replay, pictures, what-if."""

from collections import Counter

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
from contracts.transaction import ListTransactions, TransactionNotFound
from contracts.types import TransactionId
from infra.bus.context import Context
from sagas.definitions import ALL, UnknownDefinitionError, find
from sagas.engine.definition import Definition
from sagas.engine.diagram import draw_definition, draw_saga, svg_definition, svg_saga
from sagas.engine.state import describe_state, fold
from sagas.engine.validate import validate
from sagas.replay.replay import Report, replay
from sagas.replay.what_if import run_again
from services.transaction import domain
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.store import TransactionStore

PAGE_SIZE = 200


async def on_state(
    query: contract.GetTransactionState, context: Context, *, orchestrator: Orchestrator
) -> StateView:
    """Show the whole state, now or as it was."""
    del context
    entries = await orchestrator.of(query.transaction_id).history(query.transaction_id)
    if not entries:
        raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
    counted = [
        entry
        for entry in entries
        if (query.at is None or entry.at <= query.at)
        and (query.seq is None or entry.seq <= query.seq)
    ]
    if not counted or (query.seq is not None and counted[-1].seq != query.seq):
        seq = query.seq or 0
        raise Refused(StateNotFound(transaction_id=query.transaction_id, seq=seq))
    return StateView(
        transaction_id=query.transaction_id,
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
    problem: str | None = None
    good = len(bodies)
    try:
        verify_chain(bodies)
    except BrokenChainError as error:
        problem = str(error)
        good = next(n for n in range(len(bodies)) if not _holds(bodies[: n + 1]))
    return VerificationView(
        transaction_id=saga_id,
        whole=problem is None,
        entries=good,
        head=hash_of(bodies[good - 1]) if good else GENESIS,
        problem=problem,
    )


def _holds(bodies: list[bytes]) -> bool:
    try:
        verify_chain(bodies)
    except BrokenChainError:
        return False
    return True


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
        divergence=_divergence(report),
        problem=report.unreplayable[0].problem if report.unreplayable else None,
    )


def _divergence(report: Report) -> dict[str, object] | None:
    return report.diverged[0].to_json() if report.diverged else None


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
    return SagaTypes(items=[_type_view(definition) for definition in ALL])


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
    recorded, under = Counter[str](), Counter[str]()
    changed: list[OutcomeChange] = []
    for transaction_id in await _newest(query, store):
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


async def _newest(query: contract.WhatIf, store: TransactionStore) -> list[TransactionId]:
    ids: list[TransactionId] = []
    for number in range(1, -(-query.newest // PAGE_SIZE) + 1):
        wanted = ListTransactions(saga_type=query.saga_type, page=number, page_size=PAGE_SIZE)
        page = await store.page(wanted)
        ids += [view.transaction_id for view in page.items]
        if number * PAGE_SIZE >= page.total:
            break
    return ids[: query.newest]


async def _export(transaction_id: TransactionId, orchestrator: Orchestrator) -> dict[str, object]:
    entries = await orchestrator.of(transaction_id).history(transaction_id)
    bodies = await orchestrator.of(transaction_id).log.bodies(domain.SAGA, transaction_id)
    if not entries:
        raise Refused(TransactionNotFound(transaction_id=transaction_id))
    return {
        "transaction_id": str(transaction_id),
        "entries": [
            {"seq": e.seq, "body": b.decode()} for e, b in zip(entries, bodies, strict=False)
        ],
    }


def _found(saga_type: str, version: int | None) -> Definition:
    try:
        if version is not None:
            return find(saga_type, version)
        return max((d for d in ALL if d.saga_type == saga_type), key=lambda d: d.version)
    except (UnknownDefinitionError, ValueError):
        known = ", ".join(f"{one.saga_type} version {one.version}" for one in ALL)
        wanted = saga_type if version is None else f"{saga_type} version {version}"
        raise Refused(
            SagaTypeUnknown(because=f"There is no saga {wanted}; there is: {known}")
        ) from None


def _type_view(definition: Definition) -> SagaTypeView:
    missing = domain.missing_services(definition)
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
