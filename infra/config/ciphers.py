"""How secrets travel and rest: sealed for the configuration service, encrypted for their owner.

AES-256-GCM throughout. What is sealed says for which service, environment and key it is; what is
encrypted is bound to them and to the version in which it was set, so that a ciphertext that was
moved or edited opens nowhere. No error here holds a plaintext. Where keys are kept is decided in
`infra.config.keyring`.
"""

import base64
import binascii
import json
import os
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import JsonValue

from contracts.config_types import ENCRYPTED, SEALED

KEY_BYTES = 32
NONCE_BYTES = 12
_PARTS = 4
_BOX = b"tracseq configuration: sealed value"
_SERVICE = b"tracseq configuration: key of service "


class CipherError(ValueError):
    """A value cannot be opened; the text says why, and never what it holds."""


def seal(public_key: str, *, service: str, environment: str, key: str, value: JsonValue) -> str:
    """Seal a value so that only the holder of the ring can open it, for that one place.

    Raises:
        CipherError: the public key is none.
    """
    try:
        theirs = X25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except (ValueError, binascii.Error) as error:
        raise CipherError("the sealing key is no X25519 key in base64") from error
    mine = X25519PrivateKey.generate()
    public = _raw(mine.public_key())
    place = {"service": service, "environment": environment, "key": key, "value": value}
    box = AESGCM(_box_key(mine.exchange(theirs), public, _raw(theirs)))
    # The key is of this one box, so the nonce need not be: it is used once.
    closed = box.encrypt(bytes(NONCE_BYTES), json.dumps(place).encode(), None)
    return SEALED + base64.urlsafe_b64encode(public + closed).decode()


def unseal(
    private_key: X25519PrivateKey, text: str, *, service: str, environment: str, key: str
) -> JsonValue:
    """Open what was sealed, if it was sealed for this place.

    Raises:
        CipherError: it was not, or is damaged.
    """
    closed = _decoded(text, SEALED)
    public, rest = closed[:KEY_BYTES], closed[KEY_BYTES:]
    try:
        shared = private_key.exchange(X25519PublicKey.from_public_bytes(public))
        box = AESGCM(_box_key(shared, public, _raw(private_key.public_key())))
        place = cast("dict[str, Any]", json.loads(box.decrypt(bytes(NONCE_BYTES), rest, None)))
    except (InvalidTag, ValueError):
        raise CipherError("it was sealed with another key, or it is damaged.") from None
    meant = (place["service"], place["environment"], place["key"])
    if meant != (service, environment, key):
        raise CipherError(f"it was sealed for {'/'.join(short(one) for one in meant)}.")
    return cast("JsonValue", place["value"])


def short(text: object) -> str:
    """Shorten a name that is about to be told."""
    return str(text)[:64]


def service_key(master: bytes, service: str) -> bytes:
    """Derive the key of one service; it tells nothing of the master, nor of another service."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=_SERVICE + service.encode()).derive(master)


def encrypt(key: bytes, key_id: str, place: bytes, value: JsonValue) -> str:
    """Encrypt a value under a key of its own, which is wrapped under the service's."""
    own, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
    closed = AESGCM(own).encrypt(nonce, json.dumps(value).encode(), place)
    return f"{ENCRYPTED}{key_id}:{_wrap(key, own)}:{_text(nonce)}:{_text(closed)}"


def decrypt(keys: dict[str, bytes], place: bytes, text: str) -> JsonValue:
    """Open a value with whichever of these keys it is wrapped under.

    Raises:
        CipherError: none of them fits, it was moved here from elsewhere, or it is damaged.
    """
    key_id, wrapped, nonce, closed = _parts(text)
    own = _unwrap(keys, key_id, wrapped)
    try:
        value = AESGCM(own).decrypt(_bytes(nonce), _bytes(closed), place)
    except (InvalidTag, ValueError):
        raise CipherError("it belongs elsewhere, or it is damaged.") from None
    return cast("JsonValue", json.loads(value))


def rewrap(keys: dict[str, bytes], newest: str, text: str) -> str:
    """Wrap a value's own key under the newest key; the value itself is not opened.

    Raises:
        CipherError: none of these keys fits, or it is damaged.
    """
    key_id, wrapped, nonce, closed = _parts(text)
    if key_id == newest:
        return text
    own = _unwrap(keys, key_id, wrapped)
    return f"{ENCRYPTED}{newest}:{_wrap(keys[newest], own)}:{nonce}:{closed}"


def place(service: str, environment: str, key: str, version: int) -> bytes:
    """Say where a ciphertext belongs, as the data that it is bound to."""
    return json.dumps([service, environment, key, version]).encode()


def _wrap(key: bytes, own: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return _text(nonce + AESGCM(key).encrypt(nonce, own, None))


def _unwrap(keys: dict[str, bytes], key_id: str, wrapped: str) -> bytes:
    key = keys.get(key_id)
    if key is None:
        raise CipherError(f"it is wrapped under key {short(key_id)}, which is not here.")
    raw = _bytes(wrapped)
    try:
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)
    except (InvalidTag, ValueError):
        raise CipherError("it is of another service, or it is damaged.") from None


def _parts(text: str) -> tuple[str, str, str, str]:
    parts = text.removeprefix(ENCRYPTED).split(":")
    if not text.startswith(ENCRYPTED) or len(parts) != _PARTS:
        raise CipherError(f"it is no {ENCRYPTED}... text.")
    return parts[0], parts[1], parts[2], parts[3]


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise CipherError(f"it is no {prefix}... text.")
    return _bytes(text.removeprefix(prefix))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    # Canonical base64 only: two texts for the same bytes would let an edit pass unseen.
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise CipherError("it is damaged: no base64.") from None
    if _text(raw) != text:
        raise CipherError("it is damaged: no canonical base64.")
    return raw


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _box_key(shared: bytes, mine: bytes, theirs: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=mine + theirs, info=_BOX).derive(shared)
