"""Secrets that arrive over HTTP are sealed here, before any message holds them.

What is sealed can be opened by the configuration service alone, for the one service, environment
and key that it was sealed for. Nothing is ever opened here, and no plaintext is kept or told.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from contracts.config_queries import GetSealingKey
from contracts.config_types import SEALED, Environment
from contracts.message import Message
from infra.config.ciphers import seal
from infra.http.asking import Asking

KEY_KEPT_SECONDS = 60.0
"""How long the public key is used before it is asked for again."""
KEY_TIMEOUT_SECONDS = 5.0
STAND_IN = SEALED + "A" * 48
"""Stands where the secret was while the rest of its message is validated."""

_SERVICE = ("service", "service_name")
_KEY = ("name", "key")
_SAYS: TypeAdapter[bool] = TypeAdapter(bool)


def wants_seal(values: Mapping[str, Any], field: str) -> bool:
    """Say whether the field of a draft is a secret that nobody sealed yet."""
    value = values.get(field)
    if field not in values or (isinstance(value, str) and value.startswith(SEALED)):
        return False
    try:
        return _SAYS.validate_python(values.get("encrypted", False))
    except ValidationError:
        return False


class Sealer:
    """Seals for the configuration service, whose public key it asks for now and then."""

    def __init__(self, asking: Asking) -> None:
        """Ask for nothing yet."""
        self._asking = asking
        self._public_key = ""
        self._asked_at = float("-inf")

    async def seal(
        self, message: Message, value: JsonValue, *, actor: str, correlation: str
    ) -> str:
        """Seal a value for the service, environment and key that its message names.

        Raises:
            Refused: the configuration service does not answer, or has no keys.
        """
        return seal(
            await self._key(actor, correlation),
            service=_one_of(message, _SERVICE),
            environment=str(getattr(message, "environment", Environment.DEFAULT)),
            key=_one_of(message, _KEY),
            value=value,
        )

    async def _key(self, actor: str, correlation: str) -> str:
        now = self._asking.clock.monotonic()
        if now - self._asked_at > KEY_KEPT_SECONDS:
            answer = await self._asking.ask(
                GetSealingKey(),
                actor=actor,
                correlation=correlation,
                message_id=None,
                timeout_seconds=KEY_TIMEOUT_SECONDS,
            )
            self._public_key, self._asked_at = answer.public_key, now
        return self._public_key


def _one_of(message: Message, names: tuple[str, ...]) -> str:
    name = next(name for name in names if name in type(message).model_fields)
    return str(getattr(message, name))
