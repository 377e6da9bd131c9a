"""compose.yaml, the broker's configuration and Prometheus agree with the catalog and their tools.

Real tools judge: Compose, nats-server and promtool. Nothing is started here.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.breaker import collector
from infra.settings import CommonSettings
from infra.supervisor.nats_server import CONFIGURATION
from infra.telemetry.metrics import FAMILIES
from services.catalog import SERVICES
from tests.architecture import tree

PROMETHEUS = tree.ROOT / "monitoring/prometheus"
PORTS = {service.name: service.port for service in SERVICES}
MODULES = {service.name: service.module for service in SERVICES}
INFRASTRUCTURE = {"nats", "mongo", "provisioner"}


def run(*command: str, cwd: Path = tree.ROOT) -> str:
    """Run a tool and give what it said; what it objects to is the failure's message."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def tool(name: str) -> str:
    """Find a program of the environment, which stands beside its Python."""
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="module")
def promtool() -> str:
    """Find Prometheus' own judge, which is no Python package."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return path


@pytest.fixture(scope="module")
def composed() -> dict[str, dict[str, Any]]:
    """Give the services of the profile `core` as Compose itself resolves them."""
    compose = [tool("docker-compose"), "--file", "compose.yaml", "--profile", "core"]
    resolved: dict[str, dict[str, dict[str, Any]]]
    resolved = json.loads(run(*compose, "config", "--format", "json"))
    return resolved["services"]


def test_compose_runs_every_service_of_the_catalog(composed: dict[str, dict[str, Any]]) -> None:
    """The profile `core` is the catalog, the broker, the store and the provisioner."""
    assert set(composed) == PORTS.keys() | INFRASTRUCTURE


def test_compose_runs_the_catalogs_modules(composed: dict[str, dict[str, Any]]) -> None:
    """Each container runs the module that the catalog names."""
    commands = {name: composed[name]["command"] for name in PORTS}

    assert commands == {name: ["python", "-m", module] for name, module in MODULES.items()}


def test_compose_publishes_the_catalogs_ports(composed: dict[str, dict[str, Any]]) -> None:
    """Each service listens on and is published at its own port of the catalog."""
    ports = {
        name: (
            int(composed[name]["environment"][f"TRACSEQ_{name.upper()}_HTTP_PORT"]),
            [(int(port["published"]), port["target"]) for port in composed[name]["ports"]],
        )
        for name in PORTS
    }

    assert ports == {name: (port, [(port, port)]) for name, port in PORTS.items()}


def test_compose_opens_nothing_beyond_this_machine(composed: dict[str, dict[str, Any]]) -> None:
    """Every published port is bound to loopback."""
    bound = {port["host_ip"] for service in composed.values() for port in service.get("ports", [])}

    assert bound == {"127.0.0.1"}


def test_containers_can_do_no_more_than_they_need(composed: dict[str, dict[str, Any]]) -> None:
    """All run read-only, without capabilities or new privileges, and within bounds."""
    for name, service in composed.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name


def test_services_wait_for_what_they_stand_on(composed: dict[str, dict[str, Any]]) -> None:
    """A service starts on a healthy broker and store whose streams have been declared."""
    for name in PORTS:
        conditions = {
            other: needed["condition"] for other, needed in composed[name]["depends_on"].items()
        }
        assert conditions == {
            "nats": "service_healthy",
            "mongo": "service_healthy",
            "provisioner": "service_completed_successfully",
        }, name
        assert "/health/ready" in composed[name]["healthcheck"]["test"][-1], name


def test_containers_may_drain_before_they_are_killed(composed: dict[str, dict[str, Any]]) -> None:
    """Compose waits more than twice as long as a service may take to drain, HTTP included."""
    drain_seconds = CommonSettings.model_fields["drain_seconds"].default
    graces = {composed[name]["stop_grace_period"] for name in PORTS}

    assert len(graces) == 1
    assert int(graces.pop().removesuffix("s")) > 2 * drain_seconds


def test_the_labs_broker_has_the_bounds_of_the_embedded_one() -> None:
    """What is small enough for `tracseq up` is small enough for a lab's server."""
    deployed = (tree.ROOT / "infra/deploy/nats/nats.conf").read_text()
    names = ("max_payload", "max_pending", "max_connections", "write_deadline")

    assert [bound(deployed, name) for name in names] == [
        bound(CONFIGURATION, name) for name in names
    ]


def bound(configuration: str, name: str) -> str:
    """Read one bound from a broker's configuration."""
    (value,) = re.findall(rf"^{name}: *(.+)$", configuration, re.MULTILINE)
    return str(value)


def test_the_broker_accepts_its_configuration() -> None:
    """nats-server parses infra/deploy/nats/nats.conf and finds nothing wrong."""
    run(tool("nats-server"), "-t", "-c", "infra/deploy/nats/nats.conf")


def test_the_image_holds_every_package() -> None:
    """The Dockerfile copies each import package, and its build is sent each of them."""
    dockerfile = (tree.ROOT / "infra/deploy/Dockerfile").read_text()
    sent = (tree.ROOT / "infra/deploy/Dockerfile.dockerignore").read_text().splitlines()

    assert [name for name in tree.PACKAGES if f"COPY {name} {name}\n" not in dockerfile] == []
    assert [name for name in tree.PACKAGES if f"!{name}" not in sent] == []


def test_prometheus_scrapes_every_service_of_the_catalog() -> None:
    """The targets are the catalog's names and ports, each labelled with its service."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    scraped = [
        (static["labels"]["service"], target)
        for static in job["static_configs"]
        for target in static["targets"]
    ]

    assert sorted(scraped) == sorted((name, f"{name}:{port}") for name, port in PORTS.items())


def test_prometheus_accepts_its_configuration(promtool: str) -> None:
    """Promtool finds nothing wrong with the configuration and the rules it names."""
    said = run(promtool, "check", "config", "prometheus.yml", cwd=PROMETHEUS)

    assert "1 rule files found" in said


def test_prometheus_accepts_its_rules(promtool: str) -> None:
    """Promtool parses every rule."""
    rules = sorted(str(path) for path in (PROMETHEUS / "rules").glob("*.yml"))

    assert rules
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *rules)


def test_alerts_fire_when_they_must(promtool: str) -> None:
    """The alerts' unit tests pass."""
    tests = sorted(str(path) for path in (PROMETHEUS / "tests").glob("*.yml"))

    assert tests
    run(promtool, "test", "rules", *tests)


def test_every_alert_has_a_unit_test_in_which_it_fires() -> None:
    """No alert stands that was never seen to fire, and each says what to do."""
    rules = [
        rule
        for path in (PROMETHEUS / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    fired = {
        case["alertname"]
        for path in (PROMETHEUS / "tests").glob("*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }

    assert {rule["alert"] for rule in rules} == fired
    assert [rule["alert"] for rule in rules if "remedy" not in rule["annotations"]] == []


def test_rules_ask_only_for_metrics_that_are_exported() -> None:
    """Each metric of the rules is one that the services export."""
    rules = "".join(path.read_text() for path in (PROMETHEUS / "rules").glob("*.yml"))
    asked = set(re.findall(r"\btracseq_[a-z_]+\b", rules))

    assert asked
    assert asked - {family.name for family in (*FAMILIES, *collector.FAMILIES)} == set()
