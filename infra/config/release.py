"""A release as a program reads it: checked by its hash, and resolved for one instance. Pure.

It is read as JSON, not as its contract: a program goes on understanding what a later version of
the configuration service adds. Secrets stay ciphertext here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import orjson
from pydantic import JsonValue

from contracts.config_types import release_hash

RELEASED = "config.released"
RELEASED_VERSION = 1


class UnreadableReleaseError(ValueError):
    """What came is no release of this configuration; the text says why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that is in force."""

    value: JsonValue
    """Of a secret: its ciphertext."""
    secret: bool
    source: str
    """The layer that it comes from; with `since`, what a ciphertext is bound to."""
    since: int


@dataclass(frozen=True, slots=True)
class InForce:
    """A release as it is for one instance."""

    version: int
    sha256: str
    parent: str
    """The hash of the release before."""
    settings: Mapping[str, Setting]
    document: Mapping[str, Any]
    """The release whole, as JSON: what is kept as a file."""


def release_in(body: bytes) -> dict[str, Any]:
    """Find the release in an entry of the log.

    Raises:
        UnreadableReleaseError: there is none that this program understands.
    """
    try:
        entry = orjson.loads(body)
        for event in entry["events"]:
            if event["type"] == RELEASED and event["version"] == RELEASED_VERSION:
                return cast("dict[str, Any]", event["data"]["release"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableReleaseError(f"it is no entry of a log: {error!r}") from None
    raise UnreadableReleaseError(f"no {RELEASED} of version {RELEASED_VERSION} is in the entry")


def resolve(release: object, *, service: str, environment: str, instance: str) -> InForce:
    """Check a release and say what is in force for an instance: the overlay only for its members.

    Raises:
        UnreadableReleaseError: it is of another configuration, or it is damaged.
    """
    document = cast("Mapping[str, Any]", release)
    try:
        _check(document, service, environment)
        settings = {key: _setting(item) for key, item in document["items"].items()}
        overlay = document["overlay"]
        if overlay is not None and instance in overlay["members"]:
            settings |= {key: _setting(item) for key, item in overlay["items"].items()}
        return InForce(
            version=int(document["version"]),
            sha256=str(document["sha256"]),
            parent=str(document["parent"]),
            settings=settings,
            document=document,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UnreadableReleaseError):
            raise
        raise UnreadableReleaseError(f"it is no release: {error!r}") from None


def _check(document: Mapping[str, Any], service: str, environment: str) -> None:
    meant = (document["service"], document["environment"])
    if meant != (service, environment):
        raise UnreadableReleaseError(f"it is of {meant[0]} in {meant[1]}")
    if release_hash(document) != document["sha256"]:
        raise UnreadableReleaseError("its hash does not fit: it was damaged or edited")


def _setting(item: Mapping[str, Any]) -> Setting:
    return Setting(item["value"], bool(item["secret"]), str(item["source"]), int(item["since"]))
