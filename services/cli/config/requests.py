"""`tracseq config requests|approve`: changes of protected environments wait for somebody else."""

from typing import Annotated
from uuid import UUID

import typer

from contracts.config import DecideChange
from contracts.config_queries import ListChangeRequests
from contracts.config_release import Edits
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import who
from services.cli.config import shown
from services.cli.config.given import AsOption, made
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_requests(group)
    _register_approve(group)


def _register_requests(group: typer.Typer) -> None:
    @command(group, "requests")
    async def list_requests(
        *,
        service: Annotated[str | None, typer.Option(help="Changes of this service.")] = None,
        every: Annotated[bool, typer.Option("--all", help="Also those that were decided.")] = False,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List the changes that wait for consent, oldest first.

        Example: `tracseq config requests --service auth-service`
        """
        query = made(ListChangeRequests, service=service, decided=every or None)
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        rows = (
            (
                one.change_request,
                one.status,
                f"{one.edits.service} in {one.edits.environment}",
                in_words(one.edits),
                f"{one.author}, {output.cell(one.asked_at)}",
                one.edits.reason,
                ": ".join(said for said in (one.decided_by, one.note) if said),
            )
            for one in found
        )
        columns = ("Request", "Status", "Where", "What", "Asked by", "Why", "Answer")
        which = "asked for" if every else "waiting"
        shown.listed(found, f"{len(found)} {which}", columns, rows, as_json=as_json)


def in_words(edits: Edits) -> str:
    """Write on one line what somebody wants to be different."""
    said = [f"{key} = {shown.value(i.value, secret=i.secret)}" for key, i in edits.set.items()]
    said += [f"without {key}" for key in edits.delete]
    if edits.templates is not None:
        said.append(f"templates {', '.join(pin.name for pin in edits.templates) or 'none'}")
    if edits.replace:
        said.append("and nothing else")
    return ", ".join(said)


def _register_approve(group: typer.Typer) -> None:
    @command(group, "approve")
    async def approve(
        change_request: Annotated[
            UUID, typer.Argument(metavar="REQUEST", help="As `requests` lists it.")
        ],
        *,
        deny: Annotated[bool, typer.Option("--deny", help="Say no instead.")] = False,
        note: Annotated[str | None, typer.Option(help="What is said with it.")] = None,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Consent to somebody else's change, which makes it; or deny it, which ends it.

        Example: `tracseq config approve 0198c0de-0000-7000-8000-000000000000 --note "as agreed"`
        """
        message = made(DecideChange, change_request=change_request, approve=not deny, note=note)
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            found = await edge.ask(message)
        if deny and not as_json:
            output.stdout().print(f"{change_request} is denied; nothing has changed.")
        else:
            shown.edited(found, as_json=as_json)
