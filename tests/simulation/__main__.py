"""`./dev simulate`: run the saga engine through seeded trouble, or through every small one.

The same seed gives the same trace, to the last byte. Where something does not hold, the seed is
printed, and the least that fails the same way; the exit code is 1.
"""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter
from typing import Annotated

import typer

from tests.simulation.definitions import ALL, PLAIN
from tests.simulation.exhaustive import SCOPES, check_scope
from tests.simulation.kernel import readable
from tests.simulation.run import Report, shrink_world, simulate, size_of
from tests.simulation.shrink import Shrunk

TRACE_MAX = 400
"""Lines of a trace that are printed."""


def main(
    seed: Annotated[int, typer.Option(help="What every chance follows from.")] = 1,
    sagas: Annotated[int, typer.Option(min=1, help="How many are simulated.")] = 10_000,
    *,
    steps: Annotated[
        bool, typer.Option("--steps", help="Sagas of plain steps only, one after the other.")
    ] = False,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive", help="Instead: every single and double fault of a small saga."
        ),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Worlds that run at once.")] = (
        os.cpu_count() or 1
    ),
    world: Annotated[
        int | None, typer.Option(help="Only this world of the seed; it is shrunk if it fails.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run the saga engine through seeded trouble, and say whether everything held."""
    if exhaustive:
        _exhaustive(processes, as_json=as_json)
        return
    definitions = PLAIN if steps else ALL
    if world is not None:
        _tell(shrink_world(seed, world, sagas=size_of(world, sagas), definitions=definitions))
        return
    began = perf_counter()
    report = simulate(
        seed,
        sagas,
        definitions=definitions,
        processes=processes,
        progress=_progress(sagas) if sys.stderr.isatty() else None,
    )
    found = report.to_json(elapsed_seconds=perf_counter() - began)
    typer.echo(json.dumps(found) if as_json else _in_words(report, found["per_second"]))
    if report.broken:
        first = report.broken[0].number
        option = " --steps" if steps else ""
        again = f"./dev simulate --seed {seed} --sagas {sagas} --world {first}{option}"
        typer.echo(f"\nAgain: {again}", err=True)
        _tell(shrink_world(seed, first, sagas=size_of(first, sagas), definitions=definitions))


def _progress(sagas: int) -> Callable[[int], None]:
    def show(done: int) -> None:
        end = "\n" if done >= sagas else ""
        typer.echo(f"\r{done} of {sagas} sagas{end}", nl=False, err=True)

    return show


def _in_words(report: Report, per_second: float) -> str:
    ends = ", ".join(f"{count} {end}" for end, count in sorted(report.ends.items()))
    faults = ", ".join(f"{count} {what}" for what, count in sorted(report.faults.items()))
    size = f"{report.sagas} sagas in {report.worlds} worlds, {report.transitions} transitions"
    lines = [
        f"{size}, {per_second:g} sagas/s",
        f"ends: {ends}",
        f"faults: {faults}",
        f"trace hash: {report.trace_hash}",
    ]
    lines += [f"world {one.number}: {one.broken}" for one in report.broken]
    return "\n".join(lines)


def _tell(shrunk: Shrunk) -> None:
    """Print the least that fails, and leave with 1; or say that it holds."""
    broken = shrunk.world.broken
    if broken is None:
        typer.echo(f"everything holds; trace hash: {shrunk.world.kernel.hash()}")
        return
    trace = shrunk.world.kernel.trace
    typer.echo(f"\nThe least that fails so, of {shrunk.runs} runs: {broken}\n", err=True)
    typer.echo(f"sagas: {', '.join(f's{number}' for number in shrunk.numbers)}", err=True)
    for point, fault in shrunk.plan.items():
        typer.echo(f"fault: {fault}: {point}", err=True)
    typer.echo("", err=True)
    for line in trace[:TRACE_MAX]:
        typer.echo(readable(line), err=True)
    if len(trace) > TRACE_MAX:
        typer.echo(f"... and {len(trace) - TRACE_MAX} lines more", err=True)
    raise typer.Exit(1)


def _exhaustive(processes: int, *, as_json: bool) -> None:
    with ProcessPoolExecutor(min(processes, len(SCOPES))) as pool:
        reports = list(pool.map(check_scope, SCOPES))
    if as_json:
        typer.echo(json.dumps([report.to_json() for report in reports]))
    else:
        typer.echo("\n".join(report.in_words() for report in reports))
        typer.echo(f"{sum(report.cases for report in reports)} cases in all")
    if any(report.broken for report in reports):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
