"""`tracseq saga diagram` and `types`: the definitions that there are, and pictures of them.

Definitions are drawn from this version's own; a transaction is drawn by the system that has it.
"""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from contracts.saga_tools import DiagramView, Drawing, DrawTransaction, ListSagaTypes
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from sagas.definitions import ALL, UnknownDefinitionError, find
from sagas.engine.definition import Definition
from sagas.engine.diagram import draw_definition, svg_definition
from services.cli import output, running
from services.cli.outcome import command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

SvgOption = Annotated[
    Path | None, typer.Option("--svg", metavar="FILE", help="Write an SVG document there.")
]
MermaidOption = Annotated[
    bool, typer.Option("--mermaid", help="Print the text of a Mermaid flowchart.")
]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Of the definition; the newest by default.")
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_diagram(group)
    _register_types(group)


def _register_diagram(group: typer.Typer) -> None:
    @command(group, "diagram")
    async def draw(
        what: Annotated[
            str, typer.Argument(metavar="TYPE|ID", help="A type of saga, or a transaction.")
        ],
        *,
        version: VersionOption = None,
        svg: SvgOption = None,
        mermaid: MermaidOption = False,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Draw a definition, or a transaction's way through its own, as Mermaid or SVG.

        `tracseq saga types` lists the types. A definition is drawn without a running system.
        """
        if mermaid and svg is not None:
            remedy = "Ask for one of them, or twice."
            raise usage_error("--mermaid", mermaid, "and --svg are two drawings", remedy)
        drawing = Drawing.SVG if svg is not None else Drawing.MERMAID
        transaction_id = _id(what)
        if transaction_id is None:
            put(draw_type(what, version, drawing), svg, as_json=as_json)
            return
        async with EdgeClient(running.edge_url(data)) as edge:
            query = DrawTransaction(transaction_id=transaction_id, format=drawing)
            put(await edge.ask(query), svg, as_json=as_json)


def _register_types(group: typer.Typer) -> None:
    @command(group, "types")
    async def list_types(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
        """List every type of saga that the running system knows, in every version."""
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(ListSagaTypes())
        columns = ("Type", "Version", "Begins with", "Steps", "Can run", "Hash")
        rows = (
            (
                one.saga_type,
                one.version,
                one.starts_with,
                ", ".join(one.steps),
                "yes" if one.runnable else f"without {', '.join(one.missing_services)}: no",
                one.hash[:12],
            )
            for one in found.items
        )
        table = output.make_table("", columns, rows)
        output.print_result(found, as_json=as_json, table=table)


def put(diagram: DiagramView, svg: Path | None, *, as_json: bool) -> None:
    """Write a drawing to its file, or print it."""
    if svg is not None:
        svg.write_text(diagram.content, encoding="utf-8")
        if as_json:
            output.print_json({"title": diagram.title, "file": str(svg)})
        else:
            output.stdout().print(f"{output.cell(diagram.title)} is drawn in {output.cell(svg)}.")
    elif as_json:
        output.print_json(diagram)
    else:
        output.print_text(diagram.content)


def draw_type(saga_type: str, version: int | None, drawing: Drawing) -> DiagramView:
    """Draw a definition of this version's own.

    Raises:
        CliError: there is none of this type and version.
    """
    definition = released(saga_type, version)
    svg = drawing is Drawing.SVG
    return DiagramView(
        title=f"{definition.saga_type} version {definition.version}",
        format=drawing,
        content=svg_definition(definition) if svg else draw_definition(definition),
    )


def released(saga_type: str, version: int | None) -> Definition:
    """Find a definition; its newest version where none is said.

    Raises:
        CliError: there is none of this type and version.
    """
    newest = max((one.version for one in ALL if one.saga_type == saga_type), default=1)
    try:
        return find(saga_type, version or newest)
    except UnknownDefinitionError as error:
        text = str(error)
        raise usage_error(
            "TYPE", saga_type, f"cannot be found: {text}", "Take one of these."
        ) from None


def _id(text: str) -> TransactionId | None:
    try:
        return TransactionId(UUID(text))
    except ValueError:
        return None
