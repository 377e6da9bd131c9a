"""`tracseq rebuild`: make read models anew from the logs, while the system serves."""

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.bus import control
from services import catalog
from services.cli import output
from services.cli.broker import connection_to
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def rebuild(
        service: Annotated[
            str | None, typer.Argument(help="The service; every one where none.")
        ] = None,
        read_model: Annotated[
            str | None, typer.Argument(help="One of its read models; all of them where none.")
        ] = None,
        *,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Rebuild read models from the logs; lists go on answering from the old ones meanwhile.

        The services do it themselves, so they must run. No truth is touched: the logs stay as they
        are.
        """
        await order(service, read_model, data=data, as_json=as_json)


async def order(service: str | None, read_model: str | None, *, data: Path, as_json: bool) -> None:
    """Have read models rebuilt, those of all services for None, and print what came of it.

    Raises:
        CliError: nothing was rebuilt, or not all.
    """
    if service is not None and service not in catalog.NAMES:
        remedy = f"Known are: {', '.join(catalog.NAMES)}."
        raise usage_error("SERVICE", service, "is no service", remedy)
    rebuilt: list[dict[str, Any]] = []
    failed: list[str] = []
    skipped: list[str] = []
    async with connection_to(data) as connection:
        for name in catalog.NAMES if service is None else (service,):
            try:
                models = await control.order_rebuild(connection, name, read_model)
                rebuilt += [{"service": name, **model} for model in models]
            except control.NobodyThereError as error:
                (skipped if service is None else failed).append(str(error))
            except control.ControlError as error:
                failed.append(str(error))
    if as_json:
        output.print_json({"rebuilt": rebuilt, "skipped": skipped, "failed": failed})
    else:
        _show(rebuilt, skipped)
    if failed or not rebuilt:
        what = "; ".join(failed) or "no service that keeps a read model runs"
        raise CliError(f"{what[0].upper()}{what[1:]}.")


def _show(rebuilt: list[dict[str, Any]], skipped: list[str]) -> None:
    columns = ("Service", "Read model", "Generation", "Up to sequence")
    rows = ((m["service"], m["read_model"], m["generation"], m["seq"]) for m in rebuilt)
    output.stdout().print(output.make_table("", columns, rows))
    for reason in skipped:
        output.notice(f"Left out: {reason}.")
