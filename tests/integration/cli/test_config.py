"""`tracseq config` on a running system: as a person or a script would use it."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.config.keyring import ServiceKeys
from services.cli.exits import Exit
from tests.fixtures.cli import ROOT, Ended, Up, environment, run_cli
from tests.fixtures.instances import instances

CANARY = "canary-e29b1f63"
SAMPLE = "sample-service"
INSTANCES = tuple(f"robot-{number}" for number in range(10))
VALUE = ("get", SAMPLE, "max_batch_size", "--env", "development")


@dataclass(frozen=True)
class House:
    """A running system, and how its command line is used."""

    up: Up
    folder: Path

    async def config(self, *arguments: str, actor: str = "ada") -> Ended:
        """Run a command of the group."""
        env = {"TRACSEQ_DATA": str(self.up.data), "TRACSEQ_ACTOR": actor}
        return await run_cli("config", *arguments, env=env)

    async def json(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command that ends well, and give what it printed."""
        ended = await self.config(*arguments, "--json")
        assert ended.code == Exit.DONE, ended
        return ended.document

    async def pipe(self, text: str, *arguments: str) -> Ended:
        """Run a command of the group with something on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services", "config", *arguments),
            cwd=ROOT,
            env=environment({"TRACSEQ_DATA": str(self.up.data)}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(text.encode())
        return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    """Give a system with the configuration service alone, production protected."""
    ring = tmp_path / "ring.json"
    assert (await run_cli("config", "keys", "new", str(ring))).code == Exit.DONE
    env = {
        "TRACSEQ_CONFIG_KEYRING_FILE": str(ring),
        "TRACSEQ_CONFIG_PROTECTED": json.dumps(["production"]),
    }
    async with Up(tmp_path / "data", "--only", "config,edge", env=env) as up:
        yield House(up, tmp_path)


async def test_a_value_is_set_shown_explained_and_taken_back(house: House) -> None:
    """What is set is in force, its history says who and why, and an earlier version comes back."""
    changed = await house.json(
        *("set", SAMPLE, "max_batch_size=500", "auto_approve_threshold=0.95"),
        *("--env", "dev", "--reason", "a smaller robot"),
    )
    assert changed["environment"] == "development"
    assert (await house.config(*VALUE)).out == "500\n"
    explained = await house.json("explain", SAMPLE, "max_batch_size", "--env", "dev")
    layers = [(one["source"], one["value"], one["in_force"]) for one in explained["layers"]]
    assert layers == [("development", 500, True), ("default", 1_000, False)]
    assert explained["set_by"] == "ada"
    (newest, first) = (await house.json("history", SAMPLE, "--env", "dev"))["items"]
    assert (newest["author"], newest["reason"]) == ("ada", "a smaller robot")

    difference = await house.json("diff", SAMPLE, "--env", "dev", "--to-env", "staging")
    assert {one["key"] for one in difference["changes"]} == {
        "max_batch_size",
        "auto_approve_threshold",
    }
    await house.json("rollback", SAMPLE, "--env", "dev", "--to", str(first["version"]))
    assert (await house.config(*VALUE)).out == "1000\n"
    was = await house.json("get", SAMPLE, "--env", "dev", "--at", str(newest["version"]))
    assert was["release"]["items"]["max_batch_size"]["value"] == 500


async def test_what_does_not_fit_is_refused_in_one_line(house: House) -> None:
    """A stale version, a wrong value, a key that is not there: exit 1, the reason, the remedy."""
    await house.json("set", SAMPLE, "max_batch_size=500", "--env", "dev")
    before = await house.json("get", SAMPLE, "--env", "dev")
    for arguments, says in (
        (("set", SAMPLE, "max_batch_size=7", "--env", "dev", "--expect", "1"), "stale_version"),
        (("set", SAMPLE, "max_batch_size=many", "--env", "dev"), "schema_refused"),
        (("set", SAMPLE, "max_batch_size=7", "nested=[", "--env", "prod"), "version_required"),
        (("delete", SAMPLE, "max_batch_size", "--env", "staging"), "not_found"),
        (("get", SAMPLE, "nothing", "--env", "dev"), "has no nothing"),
        (("rollout", "begin", SAMPLE, "max_batch_size=7", "--env", "dev"), "nobody_runs"),
    ):
        ended = await house.config(*arguments)
        assert ended.code == Exit.REFUSED, ended
        assert says in ended.err, ended
        (line,) = [one for one in ended.err.splitlines() if one.startswith("Error:")]
        assert len(line) > 40
    assert await house.json("get", SAMPLE, "--env", "dev") == before


async def test_a_secret_is_known_to_nobody(house: House) -> None:
    """Neither what is printed nor anything that is kept holds it; a second one replaces it."""
    said: list[str] = []
    for number in range(2):
        set_it = ("set", "auth-service", "jwt_secret", "--secret", "--stdin", "--env", "staging")
        ended = await house.pipe(f"{CANARY}-{number}\n", *set_it)
        assert ended.code == Exit.DONE, ended
        said += [ended.out, ended.err]
    for arguments in (
        ("get", "auth-service", "--env", "staging"),
        ("get", "auth-service", "jwt_secret", "--json"),
        ("get", "auth-service", "--env", "staging", "--at", "2", "--json"),
        ("history", "auth-service", "--env", "staging", "--json"),
        ("list", "--service", "auth-service", "--json"),
        ("export", "auth-service", "--env", "staging"),
        ("audit", "auth-service"),
        ("explain", "auth-service", "jwt_secret", "--env", "staging"),
    ):
        ended = await house.config(*arguments)
        assert ended.code == Exit.DONE, ended
        said += [ended.out, ended.err]
    alone = await house.config("get", "auth-service", "jwt_secret", "--env", "staging")
    assert (alone.code, "shown to nobody" in alone.err) == (Exit.REFUSED, True)
    assert "(secret)" in said[4]
    assert "enc:v1:" in "".join(said)
    assert CANARY not in "".join(said)
    kept = [path for path in house.up.data.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []


async def test_a_protected_change_waits_for_somebody_else(house: House) -> None:
    """It is listed, its author may not approve it, somebody else may; and it may be denied."""
    version = str((await house.json("get", SAMPLE, "--env", "prod"))["version"])
    wanted = ("set", SAMPLE, "max_batch_size=900", "--env", "prod", "--expect", version)
    asked = [await house.json(*wanted), await house.json(*wanted)]
    (first, second) = (one["change_request"] for one in asked)
    assert {one["change_request"] for one in await house.json("requests")} == {first, second}

    own = await house.config("approve", first)
    assert (own.code, "own_change_request" in own.err) == (Exit.REFUSED, True)
    assert (await house.config("get", SAMPLE, "max_batch_size", "--env", "prod")).out == "1000\n"
    denied = await house.config("approve", second, "--deny", "--note", "not now", actor="grace")
    approved = await house.config("approve", first, actor="grace")
    assert (denied.code, approved.code) == (Exit.DONE, Exit.DONE), (denied, approved)
    assert (await house.config("get", SAMPLE, "max_batch_size", "--env", "prod")).out == "900\n"
    assert await house.json("requests") == []
    statuses = {
        one["change_request"]: one["status"] for one in await house.json("requests", "--all")
    }
    assert statuses == {first: "approved", second: "rejected"}


async def test_a_rollout_is_followed_to_its_end(house: House) -> None:
    """Stage by stage it reaches all; the command ends with it, and the value is in force."""
    begin = ("rollout", "begin", SAMPLE, "max_batch_size=1500", "--env", "dev", "--bake", "0.2")
    async with instances(house.up.info.nats_url, SAMPLE, *INSTANCES):
        tried = await house.config(*begin, "--dry-run")
        ended = await house.json(*begin)
        clients = await house.json("clients", SAMPLE, "--env", "dev")
    assert "This would change" in tried.out
    assert (ended["status"], ended["percents"]) == ("finished", [10, 50, 100])
    assert (await house.config(*VALUE)).out == "1500\n"
    assert {one["instance"] for one in clients} == set(INSTANCES)
    (listed,) = await house.json("rollout", "list", SAMPLE, "--env", "dev")
    assert listed["rollout_id"] == ended["rollout_id"]


async def test_a_rollout_that_an_instance_refuses_is_taken_back(house: House) -> None:
    """The command ends with 1 and says who refused it and why; nothing is in force."""
    begin = ("rollout", "begin", SAMPLE, "max_batch_size=1500", "--env", "dev")
    stages = ("--percents", "50,100", "--bake", "30")
    async with instances(house.up.info.nats_url, SAMPLE, "robot-1", refusing="robot-1"):
        ended = await house.config(*begin, *stages)
    assert ended.code == Exit.REFUSED, ended
    assert "robot-1 refused version" in ended.err
    assert "more than this robot takes" in ended.err
    assert (await house.config(*VALUE)).out == "1000\n"


async def test_a_rollout_is_aborted_and_advanced_by_hand(house: House) -> None:
    """Who does not want to wait says so; without one there is nothing to move."""
    begin = ("rollout", "begin", SAMPLE, "max_batch_size=1500", "--env", "dev", "--no-watch")
    move = (SAMPLE, "--env", "dev")
    async with instances(house.up.info.nats_url, SAMPLE, *INSTANCES[:2]):
        begun = await house.json(*begin, "--percents", "50,100", "--bake", "600")
        assert begun["status"] == "baking"
        aborted = await house.json("rollout", "abort", *move, "--reason", "second thoughts")
        again = await house.json(*begin, "--percents", "50,100", "--bake", "600")
        advanced = await house.json("rollout", "advance", *move)
    assert (aborted["status"], aborted["why"]) == ("rolled_back", "second thoughts")
    assert (again["stage"], advanced["stage"]) == (0, 1)
    none = await house.config("rollout", "advance", "auth-service", "--env", "dev")
    assert (none.code, "no_rollout" in none.err) == (Exit.REFUSED, True)


async def test_a_layer_is_written_and_read_back(house: House) -> None:
    """The same layer is the same bytes; reading it back changes nothing, an edited file does."""
    await house.json("set", SAMPLE, "max_batch_size=500", "label=größer", "--env", "staging")
    files = [house.folder / name for name in ("one.json", "two.json")]
    for file in files:
        await house.json("export", SAMPLE, "--env", "staging", "--out", str(file))
    one, two = (file.read_bytes() for file in files)
    assert one == two
    same = await house.config("import", str(files[0]))
    assert "is so already" in same.out
    files[0].write_bytes(one.replace(b"500", b"700"))
    edited = await house.json("import", str(files[0]), "--reason", "from the file")
    assert [c["after"] for a in edited["affected"] for c in a["changes"]] == [700]


async def test_an_audit_is_proved_and_an_edit_of_it_found(house: House) -> None:
    """Exported, signed, checked without a system; one other digit in it and it is not whole."""
    for number in range(3):
        await house.json("set", SAMPLE, f"max_batch_size={number + 1}", "--env", "staging")
    file, key = house.folder / "audit.jsonl", house.folder / "audit.key"
    key.write_bytes(bytes(range(32)))
    await house.json("audit", SAMPLE, "--out", str(file), "--sign", str(key))
    verify = ("config", "verify", str(file), "--key", str(key), "--json")
    whole = await run_cli(*verify)
    assert (whole.code, whole.document["whole"]) == (Exit.DONE, 1)
    kept = await house.json("verify", "--service", SAMPLE)
    logs = whole.document["audits"][0]["logs"]
    assert kept["audits"][0]["logs"] == logs
    assert {one["releases"] for one in logs if "staging" in one["subject"]} == {4}
    file.write_bytes(file.read_bytes().replace(b"max_batch_size", b"max_batch_sizf", 1))
    edited = await run_cli(*verify)
    assert edited.code == Exit.REFUSED
    assert edited.document["audits"][0]["line"] > 1


async def test_keys_are_made_handed_out_and_rotated(house: House) -> None:
    """A ring is never replaced; a service's file opens its secrets; rotation says how many."""
    ring, out = house.folder / "ring.json", house.folder / "keys"
    again = await run_cli("config", "keys", "new", str(ring))
    assert (again.code, "there already" in again.err) == (Exit.REFUSED, True)
    added = await run_cli("config", "keys", "add", str(ring), "--json")
    assert added.document["newest"] == "k2"
    derived = ("config", "keys", "derive", str(ring), "auth-service", "--out", str(out), "--json")
    file = Path((await run_cli(*derived)).document["auth-service"])
    assert ServiceKeys.load(file).service == "auth-service"
    public = (await house.config("keys", "show")).out
    assert len(public.strip()) == 44
    rotated = await house.json("keys", "rotate", "--reason", "yearly")
    assert rotated["rewrapped"] == 0


async def test_a_template_lies_beneath_a_layer(house: House) -> None:
    """Its values are in force where the layer sets none itself; later versions wait."""
    await house.json("template", "save", "small_lab", "max_batch_size=200")
    await house.json("template", "use", SAMPLE, "small_lab", "--env", "dev")
    await house.json("template", "save", "small_lab", "max_batch_size=100")
    assert (await house.config(*VALUE)).out == "200\n"
    shown = await house.json("template", "show", "small_lab")
    assert (shown["version"], shown["values"]) == (2, {"max_batch_size": 100})
    await house.json("template", "use", SAMPLE, "--env", "dev")
    assert (await house.config(*VALUE)).out == "1000\n"


async def test_nobody_there_is_said_with_its_exit_code(tmp_path: Path) -> None:
    """Exit 3, in one line, as JSON where that is asked for."""
    ended = await run_cli("config", "get", SAMPLE, "--json", "--data", str(tmp_path))
    assert ended.code == Exit.UNREACHABLE
    assert json.loads(ended.err)["error"]["exit_code"] == Exit.UNREACHABLE
