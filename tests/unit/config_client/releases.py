"""Releases as the log of the configuration service holds them, made for tests."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from contracts.config_types import Environment, release_hash
from infra.config.configuration import Identity
from infra.config.live import LiveSettings

SERVICE = "sample-service"
ENVIRONMENT = Environment.DEVELOPMENT
INSTANCE = "lab-1-8081"


class Bench(LiveSettings):
    """The settings of a program of these tests."""

    max_batch_size: int = 1_000
    smtp_password: str | None = None


def identity(*, snapshots: Path | None = None, keys: Path | None = None) -> Identity:
    """Say who reads, and where its files are."""
    return Identity(
        program="bench",
        service=SERVICE,
        environment=ENVIRONMENT,
        instance=INSTANCE,
        snapshots=snapshots,
        keys=keys,
    )


def item(value: object, *, secret: bool = False, source: str = "default") -> dict[str, Any]:
    """Make one key of a release."""
    when = "2026-11-22T12:00:00Z"
    return {
        "value": value,
        "secret": secret,
        "tags": [],
        "source": source,
        "since": 1,
        "created_at": when,
        "set_at": when,
        "set_by": "ada",
    }


def release(
    version: int,
    values: Mapping[str, object],
    *,
    overlay: Mapping[str, object] | None = None,
    members: Collection[str] = (),
    items: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a release, with a staged change for some instances where one is given."""
    document: dict[str, Any] = {
        "service": SERVICE,
        "environment": str(ENVIRONMENT),
        "version": version,
        "own": {},
        "items": {key: item(value) for key, value in values.items()} | dict(items or {}),
        "overlay": None,
        "parent": "",
    }
    if overlay is not None:
        document["overlay"] = {
            "items": {key: item(value) for key, value in overlay.items()},
            "members": list(members),
        }
    return document | {"sha256": release_hash(document)}
