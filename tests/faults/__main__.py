"""`./dev faults`: kill processes of a running laboratory, or cut its power, and count the harm.

What must hold decides the exit code: nothing lost, nothing doubled, every saga ended. How soon work
went on is measured and said beside its target.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from infra.ids import new_id
from infra.telemetry import logs
from tests.faults import figures, power_loss
from tests.faults.kills import kill_at_random

DEV_SHARE = 10
"""One power cut in so many is made with the profile `dev` besides."""


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often something is killed.")] = 200,
    seed: Annotated[
        int | None, typer.Option(help="What every chance follows from; a new one by default.")
    ] = None,
    *,
    cut_power: Annotated[
        bool,
        typer.Option(
            "--power-loss", help="Instead: cut the power of brokers under load (needs strace)."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Kill random processes of a laboratory at work with SIGKILL, and say whether all held.

    One process per service, sagas under way all the time. Exits with 1 where anything was lost or
    doubled, or a saga did not end. Times are measured, and judged by whoever reads them.
    """
    chosen = seed if seed is not None else new_id().int % 2**32
    # Every kill is an outage, and each attempt to reconnect is a warning.
    logs.configure(level="error", fmt="console")
    if cut_power:
        held = _cut_power(rounds, chosen, as_json=as_json)
    else:
        held = _kill(rounds, chosen, as_json=as_json)
    if not held:
        typer.echo(f"\nThe same chances again: --seed {chosen}", err=True)
        raise typer.Exit(1)


def _kill(rounds: int, seed: int, *, as_json: bool) -> bool:
    def say(text: str) -> None:
        typer.echo(text, err=True)

    with tempfile.TemporaryDirectory(prefix="tracseq-faults-") as folder:
        try:
            outcome = uvloop.run(kill_at_random(Path(folder), rounds=rounds, seed=seed, say=say))
        except (AssertionError, TimeoutError, ExceptionGroup) as error:
            typer.echo(f"It did not hold: {error!r}", err=True)
            return False
    typer.echo(
        json.dumps(figures.to_json(outcome, seed)) if as_json else figures.in_words(outcome, seed)
    )
    return figures.harm_of(outcome).none


def _cut_power(rounds: int, seed: int, *, as_json: bool) -> bool:
    strace = shutil.which("strace")
    if strace is None:
        typer.echo("strace is not installed: apt-get install strace", err=True)
        raise typer.Exit(2)
    safe = uvloop.run(power_loss.rounds("safe", rounds, strace=strace, seed=seed))
    dev_rounds = max(1, rounds // DEV_SHARE)
    dev = uvloop.run(power_loss.rounds("dev", dev_rounds, strace=strace, seed=seed))
    if as_json:
        found = {
            profile: {
                "power_cuts": len(done),
                "acknowledged": sum(one.acknowledged for one in done),
                "lost": sum(one.lost for one in done),
                "loss_window_seconds": round(max(one.loss_window_seconds for one in done), 3),
                "broken": sum(one.broken for one in done),
            }
            for profile, done in (("safe", safe), ("dev", dev))
        }
        typer.echo(json.dumps({"seed": seed, **found}))
    else:
        typer.echo(f"{power_loss.say('safe', safe)}\n{power_loss.say('dev', dev)}")
    return not any(one.lost or one.broken for one in safe)


if __name__ == "__main__":
    typer.run(main)
