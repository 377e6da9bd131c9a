"""Commands that speak to the broker: publish, provision, history, dead; as a script sees them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from contracts import subjects
from contracts.entry import GENESIS, Entry, hash_of
from contracts.sample import SampleStatus, SampleStatusChanged
from contracts.types import SampleId
from infra.bus.connection import Connection
from infra.bus.dead import DeadLetters
from infra.bus.provision import provision
from infra.supervisor import free_port
from services.cli.exits import Exit
from tests.fixtures.cli import run_cli
from tests.fixtures.servers import Broker

READING = '{"sensor": "F1", "celsius": -80.5}'
SAMPLE = UUID("0198c0de-0000-7000-8000-000000000001")
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
async def env(broker: Broker) -> dict[str, str]:
    """Give the environment that names a provisioned broker."""
    connection = await Connection.connect(broker.url, "test")
    await provision(connection)
    await connection.close()
    return {"TRACSEQ_NATS_URL": broker.url}


async def test_a_lab_event_is_stored_once_under_its_id(env: dict[str, str]) -> None:
    """The same id twice is one event, and the second answer says so."""
    arguments = ("publish", "sensor.temperature_read", READING, "--id", "reading-1", "--json")

    first = await run_cli(*arguments, env=env)
    second = await run_cli(*arguments, env=env)

    expected = {"type": "sensor.temperature_read", "stream": "LAB", "seq": 1, "duplicate": False}
    assert (first.code, first.document) == (Exit.DONE, expected)
    assert (second.code, second.document) == (Exit.DONE, {**expected, "duplicate": True})


async def test_a_lab_event_that_does_not_fit_is_refused_as_json(env: dict[str, str]) -> None:
    """A program reads field, value, problem and remedy from standard error."""
    ended = await run_cli("publish", "sensor.temperature_read", "{}", "--json", env=env)

    assert ended.code == Exit.USAGE
    assert not ended.out
    assert '"field": "sensor"' in ended.err
    assert '"remedy": "Give it."' in ended.err


async def test_a_broker_that_is_away_is_said_in_one_line() -> None:
    """Exit code 3, no traceback, and what to do."""
    url = f"nats://127.0.0.1:{free_port()}"

    ended = await run_cli(
        "publish", "sensor.temperature_read", READING, env={"TRACSEQ_NATS_URL": url}
    )

    assert ended.code == Exit.UNREACHABLE
    assert url in ended.err
    assert "tracseq up" in ended.err
    assert "Traceback" not in ended.err
    assert len(ended.err.strip().splitlines()) == 1


async def test_without_a_system_the_remedy_is_to_start_one(tmp_path: Path) -> None:
    """Every command that needs one says so the same way."""
    for arguments in (("saga", "list"), ("events",), ("dead", "list"), ("provision",)):
        ended = await run_cli(*arguments, "--data", str(tmp_path))

        assert ended.code == Exit.UNREACHABLE
        assert f"no system runs on {tmp_path}" in ended.err
        assert "tracseq up" in ended.err


async def test_an_edge_that_is_away_is_said_in_one_line() -> None:
    """Exit code 3, also for what goes over HTTP."""
    url = f"http://127.0.0.1:{free_port()}"

    ended = await run_cli("saga", "list", env={"TRACSEQ_EDGE_URL": url})

    assert ended.code == Exit.UNREACHABLE
    assert url in ended.err
    assert len(ended.err.strip().splitlines()) == 1


async def test_provisioning_twice_changes_nothing(broker: Broker) -> None:
    """The first makes everything, the second finds it."""
    env = {"TRACSEQ_NATS_URL": broker.url}

    first = await run_cli("provision", "--json", env=env)
    second = await run_cli("provision", "--json", env=env)

    assert (first.code, second.code) == (Exit.DONE, Exit.DONE)
    assert subjects.COMMANDS in first.document["created"]
    assert second.document == {"created": [], "updated": []}


async def test_a_dead_letter_is_looked_at_sent_again_and_dropped(
    broker: Broker, env: dict[str, str]
) -> None:
    """Replay sends it where it was, under a new id; only drop removes it."""
    connection = await Connection.connect(broker.url, "test")
    await DeadLetters(connection).bury(
        consumer="sample-commands",
        stream=subjects.COMMANDS,
        subject="tracseq.cmd.sample.register",
        seq=7,
        deliveries=5,
        reason="the body is no JSON",
        headers={"ce-id": "original", "ce-type": "sample.register"},
        body=b"{",
    )

    listed = await run_cli("dead", "list", "--json", env=env)
    shown = await run_cli("dead", "show", "1", env=env)
    replayed = await run_cli("dead", "replay", "1", "--json", env=env)
    again = await connection.last(subjects.COMMANDS, "tracseq.cmd.sample.register")
    dropped = await run_cli("dead", "drop", "1", "--json", env=env)
    gone = await run_cli("dead", "show", "1", env=env)
    await connection.close()

    (letter,) = listed.document
    assert (letter["consumer"], letter["deliveries"]) == ("sample-commands", 5)
    assert "the body is no JSON" in shown.out
    assert replayed.document["sent_to"] == subjects.COMMANDS
    assert again is not None
    assert again.body == b"{"
    assert again.headers["ce-id"] != "original"
    assert dropped.document == {"seq": 1, "dropped": True}
    assert (gone.code, gone.out) == (Exit.REFUSED, "")
    assert "There is no dead letter 1" in gone.err


def entries() -> list[Entry]:
    """Make the log of a sample that changed twice, an hour apart."""
    change = SampleStatusChanged(
        sample_id=SampleId(SAMPLE),
        barcode="LAB-1",
        old_status=SampleStatus.PENDING,
        new_status=SampleStatus.PENDING,
        reason="looked at",
    )
    first = Entry(
        events=(change,),
        at=NOON,
        actor="ada",
        cause="c1",
        correlation="c1",
        number=1,
        prev_hash=GENESIS,
    )
    later = replace(
        first, at=NOON + timedelta(hours=1), number=2, prev_hash=hash_of(first.to_bytes())
    )
    return [first, later]


async def append(url: str, bodies: list[bytes]) -> None:
    """Write a log by hand."""
    connection = await Connection.connect(url, "test")
    for body in bodies:
        await connection.publish(subjects.log_of("sample", "sample", SAMPLE), body)
    await connection.close()


async def test_history_shows_a_log_as_it_was(broker: Broker, env: dict[str, str]) -> None:
    """All of it, or what was known at a time."""
    await append(broker.url, [entry.to_bytes() for entry in entries()])

    everything = await run_cli("history", "sample", str(SAMPLE), "--json", env=env)
    then = await run_cli("history", "sample", str(SAMPLE), "--at", NOON.isoformat(), env=env)

    assert [entry["number"] for entry in everything.document] == [1, 2]
    assert everything.document[0]["events"][0]["type"] == "sample.status_changed"
    assert then.out.count("sample.status_changed") == 1


async def test_history_of_a_log_that_was_tampered_with_is_an_error(
    broker: Broker, env: dict[str, str]
) -> None:
    """The chain tells, and the command says at which entry."""
    first, later = (entry.to_bytes() for entry in entries())
    await append(broker.url, [first.replace(b"ada", b"bob"), later])

    ended = await run_cli("history", "sample", str(SAMPLE), env=env)

    assert ended.code == Exit.REFUSED
    assert "entry 2 does not follow the entry before it" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("publish",), ("events", "--limit", "0"), ("events", "--since", "soon")],
)
async def test_wrong_usage_has_an_exit_code_of_its_own(arguments: tuple[str, ...]) -> None:
    """Two, with a line on what was wrong."""
    ended = await run_cli(*arguments, env={"TRACSEQ_EDGE_URL": "http://127.0.0.1:9"})

    assert ended.code == Exit.USAGE
    assert "Error" in ended.err
    assert "Traceback" not in ended.err


async def test_help_tells_the_exit_codes() -> None:
    """A script's author need not look further."""
    ended = await run_cli("submit", "--help")

    assert ended.code == Exit.DONE
    assert "Exit codes: 0 done" in ended.out


async def test_exported_contracts_are_the_same_every_time(tmp_path: Path) -> None:
    """AsyncAPI, OpenAPI and a schema of each message; no byte differs between two exports."""
    for name in ("one", "other"):
        ended = await run_cli("contracts", "export", "--out", str(tmp_path / name), "--json")
        assert ended.code == Exit.DONE

    def read(name: str) -> dict[str, bytes]:
        folder = tmp_path / name
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.json")}

    assert read("one") == read("other")
    assert {"asyncapi.json", "openapi.json"} < read("one").keys()
