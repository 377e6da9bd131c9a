"""`tracseq saga rebuild`: what `tracseq rebuild transaction transactions` says, said shorter."""

import typer

from services.cli import rebuild
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "rebuild")
    async def rebuild_list(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
        """Rebuild the list of transactions from the logs; it goes on answering meanwhile.

        The transaction service does it itself, so it must run. The logs stay as they are.
        """
        await rebuild.order("transaction", "transactions", data=data, as_json=as_json)
