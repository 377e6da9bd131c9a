"""What becomes of a value on its way into a layer: a secret is opened, and closed for its owner.

No plaintext leaves this module in a text, an error or a log line.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from contracts.config_refusals import NoKeyring, NotSecret, Unsealable
from contracts.config_types import ENCRYPTED, SEALED, Environment, Item, looks_secret
from contracts.errors import Refused
from infra.config.ciphers import CipherError
from infra.config.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where a value goes: the key of a layer, and the version that it will be set in."""

    service: str
    environment: Environment
    key: str
    version: int
    known: Item | None
    """What is there now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was given; None of tags and secrecy leaves them as they are."""

    value: JsonValue
    tags: tuple[str, ...] | None = None
    secret: bool | None = None


class Safe:
    """Makes items; secrets by the ring, if there is one."""

    def __init__(self, ring: Keyring | None) -> None:
        """Hold the ring."""
        self.ring = ring

    def item(self, given: Given, slot: Slot, *, at: datetime, by: str) -> Item:
        """Make what a layer keeps of a value.

        Raises:
            Refused: it should be a secret and is none; it cannot be opened; there are no keys.
        """
        known = slot.known
        sealed = isinstance(given.value, str) and given.value.startswith(SEALED)
        secret = sealed or (given.secret is None and known is not None and known.secret)
        if not sealed and (secret or self._hides(given, slot)):
            raise Refused(NotSecret(key=slot.key))
        value, since = given.value, slot.version
        if sealed:
            value, since = self._closed(str(given.value), slot)
        tags = given.tags if given.tags is not None else known.tags if known else ()
        return Item(
            value=value,
            secret=secret,
            tags=tags,
            source=slot.environment,
            since=since,
            created_at=at,
            set_at=at,
            set_by=by,
        )

    @staticmethod
    def _hides(given: Given, slot: Slot) -> bool:
        text = isinstance(given.value, str) and given.value.startswith(ENCRYPTED)
        return text or (given.secret is None and given.value is not None and looks_secret(slot.key))

    def _closed(self, sealed: str, slot: Slot) -> tuple[str, int]:
        """Open what was sealed and close it for its owner; the same secret again stays as it is."""
        ring, service = self.ring, slot.service
        if ring is None:
            raise Refused(NoKeyring())
        place = {"service": service, "environment": str(slot.environment), "key": slot.key}
        try:
            value = ring.unseal(sealed, **place)
        except CipherError as error:
            raise Refused(Unsealable(key=slot.key, why=str(error))) from None
        known = slot.known
        if known is not None and known.secret and self._opened(known, slot) == (value,):
            return str(known.value), known.since
        return ring.encrypt(**place, version=slot.version, value=value), slot.version

    def _opened(self, item: Item, slot: Slot) -> tuple[JsonValue] | None:
        try:
            return (self._decrypt(item, slot.service, slot.environment, slot.key),)
        except (CipherError, Refused):
            return None

    def _decrypt(self, item: Item, service: str, layer: str, key: str) -> JsonValue:
        if self.ring is None:
            raise Refused(NoKeyring())
        return self.ring.service_keys(service).decrypt(
            str(item.value), service=service, environment=layer, key=key, version=item.since
        )

    def check(self, service: str, environment: Environment, key: str, item: Item) -> None:
        """Refuse a ciphertext that its owner could not open, and what is no ciphertext.

        Raises:
            Refused: it is not for this place (`Unsealable`), or there are no keys.
        """
        try:
            self._decrypt(item, service, environment, key)
        except CipherError as error:
            raise Refused(Unsealable(key=key, why=str(error))) from None

    def opened(self, service: str, items: Mapping[str, Item]) -> dict[str, JsonValue]:
        """Open what can be opened of the secrets of a release: to be measured, and then forgotten.

        Where an item was set says where its ciphertext belongs.
        """
        found: dict[str, JsonValue] = {}
        for key, item in items.items():
            if item.secret:
                with suppress(CipherError, Refused):
                    found[key] = self._decrypt(item, service, item.source, key)
        return found
