"""Orders of an operator to a running service, beside the laboratory's language.

They travel on core NATS (`tracseq.ctl.<service>.<order>`), change no truth, and are answered once
done. There is one: rebuild a read model.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from contracts import subjects
from contracts.errors import Retryable
from infra.bus.connection import Connection
from infra.bus.errors import BrokerUnavailable, NobodyAnswers

log = structlog.get_logger(__name__)

REBUILD_TIMEOUT_SECONDS = 600.0


class ControlError(RuntimeError):
    """An order could not be carried out; the text says why."""


class NobodyThereError(ControlError):
    """The service does not run, or has nothing that could be rebuilt."""


def subject(service: str, order: str) -> str:
    """Give the subject of an order to a service."""
    return f"{subjects.ROOT}.ctl.{service}.{order}"


class Rebuildable(Protocol):
    """A read model, as far as orders go."""

    @property
    def name(self) -> str:
        """How an operator calls it."""
        ...

    @property
    def position(self) -> int:
        """The newest sequence that it shows."""
        ...

    async def rebuild(self) -> int:
        """Make it anew; give its new generation."""
        ...


class Control:
    """Takes orders for one service."""

    def __init__(
        self, connection: Connection, service: str, read_models: Sequence[Rebuildable]
    ) -> None:
        """Say whose read models may be rebuilt."""
        self._connection = connection
        self._service = service
        self._read_models = {model.name: model for model in read_models}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Begin to take orders."""
        self._subscription = await self._connection.nats.subscribe(
            subject(self._service, "rebuild"), queue=self._service, cb=self._on_rebuild
        )

    async def stop(self) -> None:
        """Take no more orders."""
        if self._subscription is not None and self._connection.connected:
            await self._subscription.unsubscribe()

    async def _on_rebuild(self, message: Msg) -> None:
        wanted = json.loads(message.data or b"{}").get("read_model")
        if wanted is not None and wanted not in self._read_models:
            known = ", ".join(sorted(self._read_models)) or "none"
            answer = {"error": f"{self._service} has no read model {wanted!r}; it has: {known}"}
        else:
            answer = await self._rebuild([wanted] if wanted else list(self._read_models))
        await message.respond(json.dumps(answer).encode())

    async def _rebuild(self, names: Sequence[str]) -> dict[str, Any]:
        rebuilt: list[dict[str, Any]] = []
        try:
            for name in names:
                generation = await self._read_models[name].rebuild()
                position = self._read_models[name].position
                rebuilt.append({"read_model": name, "generation": generation, "seq": position})
        except Retryable as error:
            return {"error": str(error)}
        return {"rebuilt": rebuilt}


async def order_rebuild(
    connection: Connection, service: str, read_model: str | None = None
) -> list[dict[str, Any]]:
    """Have a running service make its read models anew, and wait until they are.

    Gives `[{"read_model", "generation", "seq"}]`. Raises:
        NobodyThereError: the service does not run, or keeps no read model.
        ControlError: it knows no such read model, or its store is away.
    """
    body = json.dumps({"read_model": read_model} if read_model else {}).encode()
    try:
        answer = await connection.request(
            subject(service, "rebuild"), body, timeout_seconds=REBUILD_TIMEOUT_SECONDS
        )
    except NobodyAnswers as error:
        what = f"the {service} service does not run, or keeps no read model"
        raise NobodyThereError(what) from error
    except BrokerUnavailable as error:
        raise ControlError(f"the {service} service did not answer: {error!r}") from error
    document = json.loads(answer)
    if "error" in document:
        raise ControlError(document["error"])
    return list(document["rebuilt"])
