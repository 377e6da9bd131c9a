"""`tracseq config keys`: the keys that secrets are kept under: make, hand out, rotate.

Files of keys are made and read on this machine only, and only their owner may read them; no key is
ever printed or sent.
"""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from contracts.config import RotateKeys
from contracts.config_queries import GetSealingKey
from contracts.config_types import ServiceName
from infra.config.keyring import KeyFileError, Keyring
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import who
from services.cli.config.given import AsOption, ReasonOption, made
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

_NAME: TypeAdapter[str] = TypeAdapter(ServiceName)

RingArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RING",
        help="The file of the ring: what TRACSEQ_CONFIG_KEYRING_FILE names.",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the group."""
    own = typer.Typer(no_args_is_help=True, help="The keys that secrets are kept under.")
    group.add_typer(own, name="keys")
    _register_new(own)
    _register_add(own)
    _register_derive(own)
    _register_rotate(own)
    _register_show(own)


def _register_new(own: typer.Typer) -> None:
    @command(own, "new")
    async def new(ring: RingArgument, *, as_json: JsonOption = False) -> None:
        """Make a ring with one key, in a file of its own; one that is there is never replaced.

        Keep a copy where the secrets are not: without the ring they are lost. Example:
        `tracseq config keys new /etc/tracseq/ring.json`
        """
        try:
            made_ring = Keyring.make(ring)
        except KeyFileError as error:
            raise _told(error) from None
        _say(ring, made_ring.newest_id, as_json=as_json)


def _register_add(own: typer.Typer) -> None:
    @command(own, "add")
    async def add(ring: RingArgument, *, as_json: JsonOption = False) -> None:
        """Add a key to a ring; new secrets are kept under it once the service has read the file.

        Then derive every service's keys anew, and rotate. Example:
        `tracseq config keys add /etc/tracseq/ring.json`
        """
        try:
            held = Keyring.load(ring)
            key_id = held.add_key()
            held.save(ring)
        except KeyFileError as error:
            raise _told(error) from None
        _say(ring, key_id, as_json=as_json)


def _register_derive(own: typer.Typer) -> None:
    @command(own, "derive")
    async def derive(
        ring: RingArgument,
        services: Annotated[
            list[str], typer.Argument(metavar="SERVICE...", help="Whose keys, as auth-service.")
        ],
        *,
        out: Annotated[
            Path,
            typer.Option(help="The folder that TRACSEQ_CONFIG_KEYS_DIR of the services names."),
        ],
        as_json: JsonOption = False,
    ) -> None:
        """Write the keys of services, each into a file that opens its own secrets and no others.

        Example: `tracseq config keys derive /etc/tracseq/ring.json auth-service --out keys`
        """
        try:
            held = Keyring.load(ring)
            files = {one: out / f"{one}.json" for one in map(_named, services)}
            for service, file in files.items():
                held.service_keys(service).save(file)
        except KeyFileError as error:
            raise _told(error) from None
        if as_json:
            output.print_json({service: str(file) for service, file in files.items()})
            return
        for service, file in files.items():
            output.stdout().print(f"The keys of {output.cell(service)} are in {output.cell(file)}.")


def _register_rotate(own: typer.Typer) -> None:
    @command(own, "rotate")
    async def rotate(
        *,
        reason: ReasonOption = None,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Have all secrets wrapped under the newest key of the ring; their values stay unopened.

        Example: `tracseq config keys rotate --reason "yearly"`
        """
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            found = await edge.ask(made(RotateKeys, reason=reason))
        if as_json:
            output.print_json(found)
        else:
            text = f"Wrapped under {found.key_id} now: {found.rewrapped} secret(s)."
            output.stdout().print(output.cell(text))


def _register_show(own: typer.Typer) -> None:
    @command(own, "show")
    async def show(*, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False) -> None:
        """Show the public key with which secrets are sealed; there is nothing to hide about it."""
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(GetSealingKey())
        if as_json:
            output.print_json(found)
        else:
            output.print_text(found.public_key)


def _named(service: str) -> str:
    """See that a name is that of a service: it becomes that of a file."""
    try:
        return _NAME.validate_python(service)
    except ValidationError:
        remedy = "Name services, such as auth-service."
        raise usage_error("SERVICE", service, "is no name of a service", remedy) from None


def _say(ring: Path, key_id: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"ring": str(ring), "newest": key_id})
    else:
        text = f"{output.cell(ring)} holds the key {output.cell(key_id)}, for its owner alone."
        output.stdout().print(text, soft_wrap=True, highlight=False)


def _told(error: KeyFileError) -> CliError:
    return CliError(f"{error}.")
