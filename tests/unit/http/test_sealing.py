"""Secrets over HTTP: sealed before any message holds them, and told to nobody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.config import BulkConfig, CreateConfig, SetConfig
from contracts.config_queries import GetSealingKey
from contracts.config_refusals import NoKeyring
from contracts.config_types import Environment
from contracts.config_views import ConfigEdited, SealingKey
from contracts.errors import Refused
from infra.breaker.testing import ManualClock
from infra.config.ciphers import CipherError
from infra.config.keyring import Keyring
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.routing import Route
from infra.http.sealing import KEY_KEPT_SECONDS
from tests.unit.http.conftest import Asker, Connect

CANARY = "canary-51c9d2e7"
EDITED = ConfigEdited(
    service_name="auth-service",
    environment=Environment.DEFAULT,
    version=1,
    affected=[],
    warnings=[],
)
KEY = "/configs/auth-service/jwt_secret"


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    """Give the keys of the configuration service."""
    return Keyring.make(tmp_path / "ring.json")


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock()


@pytest.fixture
def bound(asker: Asker, ring: Keyring, clock: ManualClock) -> list[Route]:
    """Give the routes that take secrets."""
    asker.answers = {
        "config.set": EDITED,
        "config.create": EDITED,
        "config.bulk": EDITED,
        "config.sealing_key": SealingKey(public_key=ring.public_key),
    }
    return routes((SetConfig, CreateConfig, BulkConfig), Asking(ask=asker, clock=clock))


@pytest.fixture(autouse=True)
def told() -> Iterator[list[Any]]:
    """Give what is logged meanwhile; the canary is in none of it."""
    with capture_logs() as lines:
        yield lines
    assert lines
    assert CANARY not in repr(lines)


def sent(asker: Asker) -> list[SetConfig | CreateConfig]:
    """Give the commands that were sent."""
    assert CANARY not in repr(asker.asked)
    return [one.message for one in asker.asked if isinstance(one.message, SetConfig | CreateConfig)]


@pytest.mark.parametrize("value", [CANARY, {"user": "lab", "password": CANARY}, [CANARY, 7], None])
async def test_a_secret_is_sealed_for_its_place_before_it_travels(
    *, asker: Asker, ring: Keyring, bound: list[Route], connect: Connect, value: object
) -> None:
    """Whatever JSON it is, the command holds what only the configuration service opens."""
    body = {"value": value, "encrypted": True, "environment": "prod"}
    async with connect(bound) as client:
        response = await client.put(KEY, json=body, headers={"X-Actor": "ada"})
    assert response.status_code == 200
    assert CANARY not in response.text
    (command,) = sent(asker)
    assert (command.encrypted, command.environment) == (True, Environment.PRODUCTION)
    text = str(command.value)
    place = {"service": "auth-service", "environment": "production", "key": "jwt_secret"}
    assert ring.unseal(text, **place) == value
    with pytest.raises(CipherError):
        ring.unseal(text, **place | {"environment": "staging"})
    assert {one.actor for one in asker.asked} == {"ada"}


async def test_a_new_secret_is_sealed_too(
    asker: Asker, ring: Keyring, bound: list[Route], connect: Connect
) -> None:
    """Its place is named otherwise there, and without an environment it is `default`."""
    body = {"service_name": " auth-service", "key": "api_key", "value": CANARY, "encrypted": "yes"}
    async with connect(bound) as client:
        response = await client.post("/configs", json=body)
    assert response.status_code == 201
    (command,) = sent(asker)
    place = {"service": "auth-service", "environment": "default", "key": "api_key"}
    assert ring.unseal(str(command.value), **place) == CANARY


async def test_what_came_sealed_is_not_sealed_again(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The sender did it, and nobody is asked for a key."""
    sealed = "sealed:v1:" + "B" * 48
    async with connect(bound) as client:
        await client.put(KEY, json={"value": sealed, "encrypted": True})
        await client.put("/configs/auth-service/limit", json={"value": 7, "encrypted": False})
    assert [command.value for command in sent(asker)] == [sealed, 7]
    assert len(asker.asked) == 2


async def test_the_public_key_is_asked_for_now_and_then(
    asker: Asker, clock: ManualClock, bound: list[Route], connect: Connect
) -> None:
    """Once for many secrets, and again later."""
    async with connect(bound) as client:
        for _ in range(3):
            await client.put(KEY, json={"value": CANARY, "encrypted": True})
        clock.move(KEY_KEPT_SECONDS + 1)
        await client.put(KEY, json={"value": CANARY, "encrypted": True})
    asked = [isinstance(one.message, GetSealingKey) for one in asker.asked]
    assert asked == [True, False, False, False, True, False]
    assert len({str(command.value) for command in sent(asker)}) == 4


async def test_without_a_key_no_secret_goes_anywhere(
    asker: Asker, bound: list[Route], connect: Connect
) -> None:
    """The refusal says why, and nothing else is asked."""
    asker.answers["config.sealing_key"] = Refused(NoKeyring())
    async with connect(bound) as client:
        response = await client.put(KEY, json={"value": CANARY, "encrypted": True})
    assert (response.status_code, response.json()["code"]) == (503, "config.no_keyring")
    assert sent(asker) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", KEY, {"value": CANARY}),
        ("PUT", KEY, {"value": {"deep": [CANARY]}, "tags": 7}),
        ("PUT", KEY, {"value": CANARY, "encrypted": "perhaps"}),
        ("PUT", KEY, {"value": CANARY, "encrypted": True, "environment": "moon"}),
        ("PUT", KEY, {"value": CANARY, "encrypted": True, "name": CANARY}),
        ("PUT", KEY, {"value": CANARY, "encrypted": True, "valeu": CANARY}),
        ("PUT", "/configs/auth service/key", {"value": CANARY, "encrypted": True}),
        ("PUT", f"{KEY}?value={CANARY}", {"encrypted": True}),
        ("PUT", f"{KEY}?value={CANARY}&value={CANARY}", {}),
        ("PUT", f"{KEY}?encrypted=true", [CANARY]),
        ("PUT", KEY, {"value": CANARY + "x" * 70_000, "encrypted": True}),
        ("POST", "/configs", {"key": "api_key", "value": CANARY, "encrypted": True}),
        ("POST", "/configs", {"service_name": [CANARY], "value": CANARY, "encrypted": True}),
        ("PUT", "/configs/auth-service/production/bulk", {"jwt_secret": CANARY}),
        ("PUT", "/configs/auth-service/production/bulk", {"a": CANARY, "b..": CANARY}),
        ("PUT", "/configs/auth-service/production/bulk", [CANARY]),
    ],
)
async def test_a_secret_that_is_refused_is_not_told(
    *,
    asker: Asker,
    bound: list[Route],
    connect: Connect,
    method: str,
    path: str,
    body: object,
) -> None:
    """The answer names what is wrong without what was given, and no command is sent."""
    async with connect(bound) as client:
        response = await client.request(method, path, json=body)
    assert response.status_code in {400, 422}
    assert CANARY not in response.text
    assert sent(asker) == []


async def test_a_secret_in_a_body_that_is_no_json_is_not_told(
    bound: list[Route], connect: Connect
) -> None:
    """Where reading stops, what was read is not quoted."""
    body = json.dumps({"value": CANARY, "encrypted": True})[:-1] + CANARY
    async with connect(bound) as client:
        response = await client.put(KEY, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert CANARY not in response.text
