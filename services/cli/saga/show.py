"""`tracseq saga show` and `state`: one transaction as it stands, how it got there, all it knows."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, cast

import typer

from contracts.saga_tools import Drawing, DrawTransaction, GetTransactionState
from contracts.transaction import (
    GetTransaction,
    GetTransactionHistory,
    SignalView,
    TransactionHistory,
    TransactionView,
    TransitionView,
)
from contracts.types import TransactionId
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.events import parse_since
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.diagram import MermaidOption, SvgOption, put
from services.cli.saga.targets import IdArgument
from services.cli.submit import steps_table

TRACE_ID = "{trace_id}"
TRANSITION = ("#", "Seq", "At", "Status", "What", "Asked", "Because of", "Trace")

TraceUrlOption = Annotated[
    str | None,
    typer.Option(
        "--trace-url",
        envvar="TRACSEQ_TRACE_URL",
        metavar="URL",
        help=f"Where traces are looked at, with {TRACE_ID} in it: traces are shown as links.",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_show(group)
    _register_state(group)


def _register_show(group: typer.Typer) -> None:
    @command(group, "show")
    async def show_saga(
        saga_id: IdArgument,
        *,
        svg: SvgOption = None,
        mermaid: MermaidOption = False,
        trace_url: TraceUrlOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show a transaction: its steps, who is awaited, every transition, and why it failed.

        Each transition tells its time, what happened, what was asked of whom, the message that it
        came from and its trace. With --svg or --mermaid, its way is drawn instead.
        """
        transaction_id = TransactionId(saga_id)
        async with EdgeClient(running.edge_url(data)) as edge:
            if svg is not None or mermaid:
                drawing = Drawing.SVG if svg is not None else Drawing.MERMAID
                query = DrawTransaction(transaction_id=transaction_id, format=drawing)
                put(await edge.ask(query), svg, as_json=as_json)
                return
            view = await edge.ask(GetTransaction(transaction_id=transaction_id))
            history = await edge.ask(GetTransactionHistory(transaction_id=transaction_id))
        if as_json:
            output.print_json({"transaction": view, "history": history})
            return
        _show(view, history, trace_url)


def _show(view: TransactionView, history: TransactionHistory, trace_url: str | None) -> None:
    out = output.stdout()
    out.print(steps_table(view))
    facts = list(_facts(view))
    if facts:
        out.print(output.make_table("", ("", ""), facts))
    if view.awaits:
        columns = ("Signal", "Step", "Given by", "May be given by", "Until")
        out.print(output.make_table("Waits for", columns, map(_awaited, view.awaits)))
    rows = (_row(transition, trace_url) for transition in history.transitions)
    out.print(output.make_table("Transitions", TRANSITION, rows))
    problem = view.to_problem()
    if problem is not None:
        why = output.cell(f"{problem.detail} [{problem.code}]")
        out.print(f"[bold]Why:[/] {why}", highlight=False)
        output.print_field_errors(problem.errors)


def _facts(view: TransactionView) -> Iterator[tuple[str, object]]:
    said = {
        "Deadline": view.deadline,
        "Next clock": view.due_at,
        "Begun by step of": view.parent_id,
        "Forked from": view.forked_from,
    }
    yield from ((name, value) for name, value in said.items() if value is not None)
    yield from ((f"Attribute {name}", value) for name, value in view.attributes.items())


def _awaited(one: SignalView) -> tuple[object, ...]:
    given = f"{len(one.given_by)} of {one.needs}" + (
        f": {', '.join(one.given_by)}" if one.given_by else ""
    )
    return one.signal, one.step, given, ", ".join(one.allowed or ["anybody entitled"]), one.until


def _row(one: TransitionView, trace_url: str | None) -> tuple[object, ...]:
    trace = one.trace_id
    if trace and trace_url:
        trace = trace_url.replace(TRACE_ID, trace)
    asked = ", ".join(str(command.get("type", "")) for command in one.commands)
    what = ", ".join(map(_event, one.events))
    return one.number, one.seq, one.at, one.status.value, what, asked, one.cause, trace


def _event(event: Mapping[str, Any]) -> str:
    """Name an event, with the step that it is about."""
    name = str(event.get("type", "")).removeprefix("transaction.")
    data: Mapping[str, Any] = event.get("data") or {}
    step = data.get("step")
    return f"{name} {step}" if step else name


def _register_state(group: typer.Typer) -> None:
    @command(group, "state")
    async def show_state(
        saga_id: IdArgument,
        *,
        at: Annotated[
            str | None,
            typer.Option(
                metavar="SEQ|TIME",
                help="After the entry of this sequence, as `show` lists it; or at a time, or how "
                "long ago: 2026-01-31T12:00:00Z, 15m.",
            ),
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show everything that a transaction's log says of it, now or as it was."""
        query = GetTransactionState.model_validate(
            {"transaction_id": TransactionId(saga_id), **point(at, SYSTEM.now())}
        )
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        if as_json:
            output.print_json(found)
            return
        title = (
            f"{found.transaction_id} after {found.transitions} transitions, sequence {found.seq}"
        )
        output.stdout().print(output.make_table(title, ("", ""), _flat(found.state)))


def point(at: str | None, now: datetime) -> dict[str, Any]:
    """Read a sequence, or a time: what `GetTransactionState` is asked with.

    Raises:
        CliError: it is neither.
    """
    if at is None:
        return {}
    return {"seq": int(at)} if at.isdecimal() and int(at) else {"at": parse_since(at, now)}


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Give every value with the path that leads to it."""
    if isinstance(value, dict) and value:
        for name, member in cast("dict[str, object]", value).items():
            yield from _flat(member, f"{path}.{name}" if path else name)
    elif value not in (None, {}, []):
        yield path, value
