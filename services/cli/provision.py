"""`tracseq provision`: make the declared streams, consumers and buckets true on a broker."""

from typing import Annotated

import typer

from infra.bus.provision import REPLICAS, ProvisionError, provision
from infra.settings import Profile
from services.cli import output
from services.cli.broker import connection_to
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "provision")
    async def provision_broker(
        *,
        profile: Annotated[
            Profile,
            typer.Option(envvar="TRACSEQ_PROFILE", help="How durable: ha keeps three copies."),
        ] = "dev",
        replicas: Annotated[
            int | None,
            typer.Option(min=1, max=5, help="Copies of each stream; the profile's by default."),
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Create or update every stream, consumer and bucket that the laboratory needs.

        Nothing is ever deleted: what cannot be changed in place is reported. `tracseq up` does this
        by itself; run it before the services when they run elsewhere (TRACSEQ_NATS_URL).
        """
        async with connection_to(data) as connection:
            try:
                report = await provision(connection, replicas=replicas or REPLICAS[profile])
            except ProvisionError as error:
                raise CliError(f"{error}") from None
        if as_json:
            output.print_json({"created": report.created, "updated": report.updated})
            return
        for what, names in (("Created", report.created), ("Updated", report.updated)):
            if names:
                output.stdout().print(f"{what}: {', '.join(names)}.")
        output.stdout().print("Everything is as declared.")
