"""Who holds which key: the ring of the configuration service, and the keys of one service.

Both are files that only their owner may read. The ring opens what was sealed and makes every
service's keys; a service's file opens that service's secrets and no others.
"""

import base64
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import JsonValue

from infra.config import ciphers
from infra.config.ciphers import KEY_BYTES

KEYS_MAX = 100
"""In one ring; old ones stay, since old releases are wrapped under them."""
FILE_BYTES_MAX = 64 * 1024
_KEY_ID = re.compile(r"k[1-9][0-9]{0,3}")


class KeyFileError(ValueError):
    """A file of keys cannot be used; the text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """What one service needs to open its own secrets."""

    service: str
    keys: dict[str, bytes]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read them.

        Raises:
            KeyFileError: the file is not there, is open to others, or holds no such keys.
        """
        document = _read(path, "the keys of a service")
        return cls(str(document["service"]), _keys(path, document["keys"]))

    def save(self, path: Path) -> None:
        """Write them, for the owner of the file alone; a file that is there is replaced."""
        _write(path, {"service": self.service, "keys": _texts(self.keys)})

    def decrypt(
        self, text: str, *, service: str, environment: str, key: str, version: int
    ) -> JsonValue:
        """Open a secret.

        Raises:
            CipherError: it is not for this service and place, or it is damaged.
        """
        return ciphers.decrypt(self.keys, ciphers.place(service, environment, key, version), text)


class Keyring:
    """The keys of an installation: every service's are derived from them."""

    def __init__(self, sealing: X25519PrivateKey, masters: dict[str, bytes]) -> None:
        """Hold keys, the newest last."""
        self._sealing = sealing
        self._masters = masters
        self._derived: dict[str, dict[str, bytes]] = {}

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make a ring with one key, and its file.

        Raises:
            KeyFileError: the file is there already: what is wrapped under its keys would be lost.
        """
        if path.exists():
            raise KeyFileError(f"{path} is there already, and secrets depend on it: keep it")
        ring = cls(X25519PrivateKey.generate(), {"k1": os.urandom(KEY_BYTES)})
        ring.save(path)
        return ring

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a ring.

        Raises:
            KeyFileError: the file is not there, is open to others, or holds no ring.
        """
        document = _read(path, "a ring")
        masters = _keys(path, document["keys"])
        try:
            sealing = X25519PrivateKey.from_private_bytes(
                base64.b64decode(document["sealing"], validate=True)
            )
        except (KeyError, ValueError, TypeError):
            raise KeyFileError(f"{path} holds no sealing key; restore it from a backup") from None
        return cls(sealing, masters)

    def save(self, path: Path) -> None:
        """Write the ring, for the owner of the file alone; a file that is there is replaced."""
        raw = self._sealing.private_bytes_raw()
        sealing = base64.b64encode(raw).decode()
        _write(path, {"sealing": sealing, "keys": _texts(self._masters)})

    def add_key(self) -> str:
        """Add a key, under which everything is wrapped from now on; gives its id.

        Raises:
            KeyFileError: there are too many.
        """
        if len(self._masters) >= KEYS_MAX:
            raise KeyFileError(f"a ring holds {KEYS_MAX} keys and this one is full: make another")
        key_id = f"k{len(self._masters) + 1}"
        self._masters[key_id] = os.urandom(KEY_BYTES)
        self._derived.clear()
        return key_id

    @property
    def newest_id(self) -> str:
        """Name the key under which everything is wrapped now."""
        return next(reversed(self._masters))

    @property
    def public_key(self) -> str:
        """Give the key with which secrets are sealed for this ring, as base64."""
        public = self._sealing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(public).decode()

    def service_keys(self, service: str) -> ServiceKeys:
        """Derive the keys of one service."""
        derived = self._derived.get(service)
        if derived is None:
            derived = self._derived[service] = {
                key_id: ciphers.service_key(master, service)
                for key_id, master in self._masters.items()
            }
        return ServiceKeys(service, derived)

    def unseal(self, text: str, *, service: str, environment: str, key: str) -> JsonValue:
        """Open what was sealed for this place.

        Raises:
            CipherError: it was sealed for another, or it is damaged.
        """
        return ciphers.unseal(
            self._sealing, text, service=service, environment=environment, key=key
        )

    def encrypt(
        self, *, service: str, environment: str, key: str, version: int, value: JsonValue
    ) -> str:
        """Encrypt a value for its owner, bound to its place."""
        where = ciphers.place(service, environment, key, version)
        newest = self.newest_id
        return ciphers.encrypt(self.service_keys(service).keys[newest], newest, where, value)

    def rewrap(self, service: str, text: str) -> str:
        """Wrap a secret under the newest key; the same text where it is already.

        Raises:
            CipherError: it is of another service or ring, or it is damaged.
        """
        return ciphers.rewrap(self.service_keys(service).keys, self.newest_id, text)


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        mode, raw = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror}): it holds {what}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(f"{path} is open to others than its owner: run chmod 600 {path}")
    try:
        document: object = json.loads(raw[:FILE_BYTES_MAX])
    except ValueError:
        raise KeyFileError(f"{path} is no JSON: restore {what} from a backup") from None
    if not isinstance(document, dict) or "keys" not in document:
        raise KeyFileError(f"{path} does not hold {what}: restore it from a backup")
    return cast("dict[str, Any]", document)


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _keys(path: Path, texts: object) -> dict[str, bytes]:
    try:
        given = cast("dict[str, str]", texts).items()
        keys = {key_id: base64.b64decode(text, validate=True) for key_id, text in given}
    except (AttributeError, ValueError, TypeError):
        raise KeyFileError(f"{path} holds no keys: restore it from a backup") from None
    good = all(_KEY_ID.fullmatch(i) and len(k) == KEY_BYTES for i, k in keys.items())
    if not keys or not good:
        raise KeyFileError(f"{path} holds keys of another kind: restore it from a backup")
    return dict(sorted(keys.items(), key=lambda one: int(one[0][1:])))


def _texts(keys: dict[str, bytes]) -> dict[str, str]:
    return {key_id: base64.b64encode(key).decode() for key_id, key in keys.items()}
