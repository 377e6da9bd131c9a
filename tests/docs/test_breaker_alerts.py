"""The remedies of the circuit breakers' alerts, and of docs/operations.md: typed as they stand."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.docs import markdown
from tests.fixtures.cli import Up, environment
from tests.fixtures.laboratory import eventually

PAGE = "docs/operations.md"
ALERTS = markdown.ROOT / "monitoring/prometheus/tests/breakers.test.yml"
EVENT = "127.0.0.1:8087"
COMMAND_SECONDS_MAX = 120.0
COMMAND = re.compile(r"^(?:curl|tracseq) .*$", re.MULTILINE)


def remedies() -> dict[str, list[str]]:
    """Give the commands of each alert as a person reads them; of the service `event`."""
    found: dict[str, list[str]] = {}
    for case in yaml.safe_load(ALERTS.read_text())["tests"]:
        for one in case["alert_rule_test"]:
            for alert in one["exp_alerts"]:
                service = alert["exp_labels"]["service"]
                told = alert["exp_annotations"]["remedy"]
                told = told.replace(alert["exp_labels"]["instance"], EVENT)
                told = told.replace(f"{service}-service", "event-service")
                found[one["alertname"]] = COMMAND.findall(told)
    return found


def of_the_page() -> list[str]:
    """Give the commands of the incident on the page."""
    _, _, after = markdown.read(PAGE).partition("\n### A circuit breaker is open\n")
    return [line[2:] for line in after.partition("\n### ")[0].splitlines() if line[:2] == "$ "]


async def typed(command: str, up: Up) -> str:
    """Type a command as it stands; gives what it said."""
    address = up.info.services["event"].removeprefix("http://")
    told = command.replace("tracseq ", f"'{sys.executable}' -m services ", 1)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", told.replace(EVENT, address)),
        env=environment(
            {"TRACSEQ_DATA": str(up.data), "PYTHONPATH": str(markdown.ROOT), "USER": "ada"}
        ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        said, _ = await process.communicate()
    assert process.returncode == 0, (told, said)
    return said.decode()


async def test_the_remedies_of_open_breakers_do_what_they_say(tmp_path: Path) -> None:
    """What was opened by hand is found, and closed; more calls at once are let through."""
    every = remedies()
    assert set(every) == {"BreakerOpen", "BreakerForcedOpen", "BreakerShedsLoad"}
    async with (
        Up(tmp_path / "data") as up,
        httpx.AsyncClient(base_url=up.info.services["event"]) as client,
    ):

        async def shown() -> dict[str, Any]:
            document = (await client.get("/circuit-breaker/metrics")).json()
            found: dict[str, Any] = document["circuit_breakers"]["store"]
            return found

        for commands in (*every.values(), of_the_page()):
            assert any("/circuit-breaker/" in command for command in commands)
            opened = await client.post("/circuit-breaker/force-open?name=store")
            said = {command: await typed(command, up) for command in commands}
            seen = await shown()

            assert opened.is_success
            # The timeline is a little behind.
            assert all("store" in one for command, one in said.items() if "curl" in command)
            closes = any("/reset" in command for command in commands)
            assert (seen["state"] == "forced_open") is not closes
            if any("config set" in command for command in commands):
                await eventually(shown, lambda one: one["config"]["max_concurrent_requests"] == 200)
