"""`tracseq rebuild`: make read models anew from the logs, while the system serves."""

from typing import Annotated, Any

import typer

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
        if service is not None and service not in catalog.NAMES:
            remedy = f"Known are: {', '.join(catalog.NAMES)}."
            raise usage_error("SERVICE", service, "is no service", remedy)
        # It comes with the whole runtime, which no other command needs.
        from infra.runtime.control import ControlError, order_rebuild  # noqa: PLC0415

        rebuilt: list[dict[str, Any]] = []
        failed: list[str] = []
        async with connection_to(data) as connection:
            for name in catalog.NAMES if service is None else (service,):
                try:
                    models = await order_rebuild(connection, name, read_model)
                    rebuilt += [{"service": name, **model} for model in models]
                except ControlError as error:
                    failed.append(str(error))
        if as_json:
            output.print_json({"rebuilt": rebuilt, "failed": failed})
        else:
            columns = ("Service", "Read model", "Generation", "Up to sequence")
            rows = ((m["service"], m["read_model"], m["generation"], m["seq"]) for m in rebuilt)
            output.stdout().print(output.make_table("", columns, rows))
        if failed:
            raise CliError(f"{'; '.join(failed)}.", remedy="What is listed above was rebuilt.")
