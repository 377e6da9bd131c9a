"""`tracseq config rollout`: a change for some instances first, then more, then all, and watch it.

The service chooses the instances, moves the stages and takes the change back where one refuses it;
whoever stops watching stops nothing.
"""

from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from contracts.config import BeginRollout, MoveRollout
from contracts.config_queries import ListRollouts
from contracts.config_types import Environment
from contracts.config_views import RolloutView
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import who
from services.cli.config import shown
from services.cli.config.given import (
    AsOption,
    DryRunOption,
    ExpectOption,
    ReasonOption,
    RunEnvOption,
    ServiceArgument,
    TextOption,
    assignments,
    made,
    run_environment,
)
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

POLL_SECONDS = 0.2
QUIET_SECONDS_MAX = 300.0
"""A rollout that comes no further for this long, beyond its own bake time, is no longer watched."""
BAKING = "baking"

NoWatchOption = Annotated[
    bool, typer.Option("--no-watch", help="Begin it, and do not wait for its end.")
]


def register(group: typer.Typer) -> None:
    """Add the group."""
    own = typer.Typer(
        no_args_is_help=True, help="Staged rollouts: a change for some first, then for all."
    )
    group.add_typer(own, name="rollout")
    _register_begin(own)
    _register_watch(own)
    _register_list(own)
    for move, says in (
        ("advance", "Take the rollout to its next stage now."),
        ("abort", "Take the change back from all."),
    ):
        _register_move(own, move, says)


def _register_begin(own: typer.Typer) -> None:
    @command(own, "begin")
    async def begin(  # noqa: PLR0913 - each is an option
        service: ServiceArgument,
        given: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="What to set.")],
        *,
        env: RunEnvOption,
        percents: Annotated[
            str,
            typer.Option(help="Share of the running instances at each stage; the last is 100."),
        ] = "10,50,100",
        bake: Annotated[
            float,
            typer.Option(
                min=0, metavar="SECONDS", help="How long each stage is watched once all run it."
            ),
        ] = 60.0,
        text: TextOption = False,
        no_watch: NoWatchOption = False,
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Change keys for a share of the running instances first, then for more, then for all.

        An instance that refuses the change, at any stage, has it taken back from all; the command
        then exits with 1. Ctrl-C stops watching, not the rollout. Example:

        `tracseq config rollout begin sample-service max_batch_size=4000 --env production`
        """
        values = assignments(given, text=text)
        where = run_environment(env)
        message = made(
            BeginRollout,
            service=service,
            environment=where,
            values=values,
            percents=_percents(percents),
            bake_seconds=bake,
            expected_version=expect,
            reason=reason,
            dry_run=dry_run or None,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            edited = await edge.ask(message)
            if edited.dry_run or edited.change_request is not None or not edited.affected:
                shown.edited(edited, as_json=as_json)
                return
            shown.cautions(edited)
            if no_watch:
                _show([await _newest(edge, service, where)], as_json=as_json)
            else:
                await _watch(edge, service, where, as_json=as_json)


def _percents(given: str) -> list[float]:
    try:
        return [float(one) for one in given.split(",")]
    except ValueError:
        remedy = "Write numbers that grow and end with 100: 10,50,100."
        raise usage_error("--percents", given, "cannot be read", remedy) from None


def _register_watch(own: typer.Typer) -> None:
    @command(own, "watch")
    async def watch(
        service: ServiceArgument,
        *,
        env: RunEnvOption,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Follow the newest rollout to its end; exits with 1 where it was taken back.

        Example: `tracseq config rollout watch sample-service --env production`
        """
        async with EdgeClient(running.edge_url(data)) as edge:
            await _watch(edge, service, run_environment(env), as_json=as_json)


async def _watch(edge: EdgeClient, service: str, env: Environment, *, as_json: bool) -> None:
    """Follow a rollout to its end, and show that.

    Raises:
        CliError: there is none, it was taken back, or comes no further.
    """
    rollout = await _newest(edge, service, env)
    with _progress() as drawn:
        task = drawn.add_task("", total=1)
        moved_at = SYSTEM.monotonic()
        while rollout.status == BAKING:
            drawn.update(
                task,
                description=f"Stage {_stage(rollout)}, instances that run it",
                total=len(rollout.members),
                completed=len(rollout.confirmed),
            )
            await SYSTEM.sleep(POLL_SECONDS)
            before, rollout = rollout, await _newest(edge, service, env, rollout.rollout_id)
            if before != rollout:
                moved_at = SYSTEM.monotonic()
            elif SYSTEM.monotonic() - moved_at > QUIET_SECONDS_MAX + rollout.bake_seconds:
                run = f"{len(rollout.confirmed)} of {len(rollout.members)} instances run it"
                raise CliError(
                    f"Stage {_stage(rollout)}: {run}, and no more since {QUIET_SECONDS_MAX:.0f} s.",
                    remedy="`tracseq config clients` says who does not; `rollout advance` goes on "
                    "without them, `rollout abort` takes it back.",
                )
    _show([rollout], as_json=as_json)
    if rollout.status != "finished":
        raise CliError(
            f"The change was taken back from all: {(rollout.why or 'no reason').rstrip('.')}.",
            remedy="Mend the value, and begin anew.",
        )


async def _newest(
    edge: EdgeClient, service: str, env: Environment, rollout_id: UUID | None = None
) -> RolloutView:
    found = await edge.ask(made(ListRollouts, service=service, environment=env))
    for one in found:
        if rollout_id in {None, one.rollout_id}:
            return one
    raise CliError(
        f"There was no rollout of {service} in {env}.",
        remedy="Begin one: `tracseq config rollout begin`.",
    )


def _stage(one: RolloutView) -> str:
    stages = len(one.percents)
    at = min(one.stage, stages - 1)
    return f"{at + 1} of {stages} ({one.percents[at]:g} %)"


def _progress() -> Progress:
    console = output.stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _register_list(own: typer.Typer) -> None:
    @command(own, "list")
    async def list_rollouts(
        service: ServiceArgument,
        *,
        env: RunEnvOption,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List the rollouts of a service, newest first.

        Example: `tracseq config rollout list sample-service --env production`
        """
        query = made(ListRollouts, service=service, environment=run_environment(env))
        async with EdgeClient(running.edge_url(data)) as edge:
            _show(await edge.ask(query), as_json=as_json, several=True)


def _show(found: list[RolloutView], *, as_json: bool, several: bool = False) -> None:
    if as_json:
        output.print_json(found if several else found[0])
        return
    rows = (
        (
            one.rollout_id,
            one.status,
            ", ".join(one.keys),
            _stage(one),
            f"{len(one.confirmed)} of {len(one.members)}",
            one.author,
            one.began_at,
            one.why,
        )
        for one in found
    )
    columns = ("Rollout", "Status", "Keys", "Stage", "Run it", "Who", "Began", "Why")
    output.stdout().print(output.make_table("", columns, rows))


def _register_move(own: typer.Typer, move: str, says: str) -> None:
    async def change(
        service: ServiceArgument,
        *,
        env: RunEnvOption,
        reason: ReasonOption = None,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        message = made(
            MoveRollout,
            service=service,
            environment=run_environment(env),
            move=move,
            reason=reason,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            await edge.ask(message)
            newest = await _newest(edge, message.service, message.environment)
        _show([newest], as_json=as_json)

    example = f"`tracseq config rollout {move} sample-service --env production`"
    change.__doc__ = f"{says}\n\nExample: {example}"
    command(own, move)(change)
