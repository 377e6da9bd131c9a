"""`tracseq saga what-if`: what recorded transactions would have come to under another version."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

import typer

from contracts.saga_tools import OutcomeChange, WhatIf, WhatIfView
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from sagas.engine.definition import Definition
from sagas.replay.replay import read_history
from sagas.replay.what_if import run_again
from services.cli import output, running
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.diagram import released
from services.cli.saga.replay import progress
from services.cli.saga.source import WRITTEN, definitions_in
from services.cli.saga.targets import Broken, Found, histories

NEWEST = 200
"""Transactions that are taken where no files are named and no other number is given."""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "what-if")
    async def try_version(
        targets: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[DIR|FILE|ID]...",
                help="Exported histories or transactions; the newest ones where none are named.",
            ),
        ] = None,
        *,
        saga_type: Annotated[
            str | None, typer.Option("--type", help="The type of saga, as `types` lists it.")
        ] = None,
        version: Annotated[
            int | None, typer.Option("--version", min=1, help="The version to try.")
        ] = None,
        definition: Annotated[
            str | None,
            typer.Option(
                metavar=WRITTEN,
                help="Try a definition that is not released, instead of --type and --version. The "
                "file is run.",
            ),
        ] = None,
        newest: Annotated[
            int, typer.Option(min=1, max=1_000, help="How many where none are named.")
        ] = NEWEST,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Run ended transactions through another version, with the answers that were recorded.

        Tells how many outcomes would change, and how; `unanswered` where the other version asks
        for what no record tells. Nothing is sent or changed.
        """
        if definition is None and not targets:
            told_type, told_version = _named(saga_type, version)
            async with EdgeClient(running.edge_url(data)) as edge:
                query = WhatIf(saga_type=told_type, version=told_version, newest=newest)
                _show(await edge.ask(query), as_json=as_json)
            return
        trial = _Trial(_definition(saga_type, version, definition))
        with progress() as shown:
            task = shown.add_task("Histories", total=None)
            async for found in histories(targets or [], data=data, newest=newest):
                trial.take(found)
                shown.advance(task)
        _show(trial.view(), as_json=as_json)
        if trial.unreadable:
            raise CliError(
                f"{len(trial.unreadable)} histories cannot be read: {trial.unreadable[0]}.",
                remedy="`tracseq saga verify` says what is wrong with a file.",
            )


def _named(saga_type: str | None, version: int | None) -> tuple[str, int]:
    if saga_type is None or version is None:
        missing = "--type" if saga_type is None else "--version"
        remedy = f"Say --type T --version N, or --definition {WRITTEN}."
        raise usage_error(missing, "", "is needed", remedy)
    return saga_type, version


def _definition(saga_type: str | None, version: int | None, place: str | None) -> Definition:
    if place is None:
        return released(*_named(saga_type, version))
    if saga_type is not None or version is not None:
        remedy = "Leave --type and --version out: the definition says both."
        raise usage_error("--definition", place, "is named besides another one", remedy)
    found = definitions_in(place)
    if len(found) > 1:
        problem = f"makes {len(found)} definitions"
        raise usage_error("--definition", place, problem, f"Say which: {WRITTEN}.")
    return found[0]


@dataclass(slots=True)
class _Trial:
    """One definition, and what became of every history under it."""

    definition: Definition
    recorded: Counter[str] = field(default_factory=Counter[str])
    under: Counter[str] = field(default_factory=Counter[str])
    changed: list[OutcomeChange] = field(default_factory=list[OutcomeChange])
    unreadable: list[str] = field(default_factory=list[str])

    def take(self, found: Found) -> None:
        """Try one more; one of another type, or that has not ended, is left out."""
        if isinstance(found, Broken):
            self.unreadable.append(f"{found.saga}: {found.problem}")
            return
        try:
            entries = read_history(found)
            if entries[0].effects["definition"]["type"] != self.definition.saga_type:
                return
            course = run_again(entries, self.definition)
        except (LookupError, TypeError, ValueError) as error:
            self.unreadable.append(f"{found.get('transaction_id')}: {error}")
            return
        if course is None:
            return
        self.recorded[course.recorded] += 1
        self.under[course.under] += 1
        if not course.same:
            self.changed.append(
                OutcomeChange(
                    transaction_id=TransactionId(course.saga_id),
                    recorded=course.recorded,
                    under=course.under,
                    at_step=course.at_step,
                )
            )

    def view(self) -> WhatIfView:
        """Sum up."""
        total = self.recorded.total()
        return WhatIfView(
            saga_type=self.definition.saga_type,
            version=self.definition.version,
            transactions=total,
            same=total - len(self.changed),
            changed=self.changed,
            outcomes={"recorded": dict(self.recorded), "under": dict(self.under)},
        )


def _show(found: WhatIfView, *, as_json: bool) -> None:
    if as_json:
        output.print_json(found)
        return
    out = output.stdout()
    out.print(
        f"{found.same} of {found.transactions} transactions of {found.saga_type} would end alike "
        f"under version {found.version}."
    )
    names = sorted({name for counts in found.outcomes.values() for name in counts})
    recorded, under = found.outcomes.get("recorded", {}), found.outcomes.get("under", {})
    rows = ((name, recorded.get(name, 0), under.get(name, 0)) for name in names)
    out.print(output.make_table("", ("Outcome", "Recorded", "Under it"), rows))
    if found.changed:
        columns = ("Transaction", "Recorded", "Under it", "At step")
        changed = ((c.transaction_id, c.recorded, c.under, c.at_step) for c in found.changed)
        out.print(output.make_table("Changed", columns, changed))
