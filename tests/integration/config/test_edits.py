"""Configuration is set, shown, refused, taken back: over a real broker and document store."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from contracts import subjects
from contracts.config import (
    BulkConfig,
    CreateConfig,
    DecideChange,
    DeleteConfig,
    ImportConfig,
    RegisterSchema,
    RollbackConfig,
    RotateKeys,
    SetConfig,
)
from contracts.config_queries import (
    DiffConfig,
    ExplainConfig,
    ExportConfig,
    GetRelease,
    ListConfigs,
    LookConfig,
    ReadAudit,
    ReleaseHistory,
)
from contracts.config_refusals import (
    ConfigNotFound,
    DuplicateKey,
    NoSuchVersion,
    ReservedName,
    SchemaRefused,
    StaleVersion,
    Unsealable,
    VersionRequired,
)
from contracts.config_types import Environment
from contracts.config_views import ConfigEdited, ServiceConfig
from contracts.entry import verify_chain
from infra.bus import outcomes
from infra.bus.context import Context
from infra.clock import SYSTEM
from infra.runtime import Fleet
from services.config.domain.defaults import DEFAULTS
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.config.house import PRODUCTION, SCHEMA_HASH, House, blueprint, open_house

__all__ = ["laboratory"]

CANARY = "canary-51f0c7"
MINE = "ledger-service"
STAGING = Environment.STAGING
ROUNDS = 20
LAYERS = (Environment.DEFAULT, STAGING)


@pytest.fixture
async def house(laboratory: Laboratory, tmp_path: Path) -> AsyncGenerator[House]:
    """Run the service."""
    async for one in open_house(laboratory, tmp_path):
        yield one


async def test_the_values_to_begin_with_are_set_once(
    house: House, laboratory: Laboratory, tmp_path: Path
) -> None:
    """27 of them; a restart sets none again, also none that was deleted."""
    head = await laboratory.connection.head(subjects.log_stream("config"))
    listed = await house.ask(ListConfigs(environment=Environment.DEFAULT, min_seq=head))
    assert listed.total == sum(map(len, DEFAULTS.values())) == 27
    await house.ask(DeleteConfig(service="auth-service", name="enable_2fa"))
    await laboratory.stop("config")
    await laboratory.start(blueprint(tmp_path))
    assert "enable_2fa" not in (await house.look("auth-service")).config
    history = await house.ask(
        ReleaseHistory(service="auth-service", environment=Environment.DEFAULT)
    )
    assert [line.cause for line in history.items] == ["delete", "defaults"]


async def test_a_value_of_default_is_in_force_everywhere_and_the_answer_says_where(
    house: House,
) -> None:
    """Every environment that it reaches, before and after; its tags come along."""
    edited = await house.ask(
        SetConfig(service="auth-service", name="jwt_expiry_hours", value=48, tags=("security",))
    )
    assert {one.environment for one in edited.affected} == set(Environment)
    assert {(c.before, c.after) for one in edited.affected for c in one.changes} == {(24, 48)}
    assert (await house.look("auth-service", "prod")).config["jwt_expiry_hours"] == 48
    found = await house.ask(
        ListConfigs(service="auth-service", tags="security, other", min_seq=edited.seq)
    )
    assert [one.key for one in found.items] == ["jwt_expiry_hours"]


async def test_an_environment_shadows_default(house: House) -> None:
    """It is told of, explained, and gone once the environment's own value is deleted."""
    own = SetConfig(service=MINE, name="limit", environment=Environment.STAGING, value=7)
    await house.ask(own)
    edited = await house.ask(SetConfig(service=MINE, name="limit", value=5))
    (staging,) = [one for one in edited.affected if one.environment == "staging"]
    assert (staging.changes, staging.shadowed) == ([], ["limit"])
    explained = await house.ask(
        ExplainConfig(service=MINE, environment=Environment.STAGING, name="limit")
    )
    layers = [(one.source, one.value, one.in_force) for one in explained.layers]
    assert layers == [("staging", 7, True), ("default", 5, False)]
    await house.ask(DeleteConfig(service=MINE, name="limit", environment=Environment.STAGING))
    assert (await house.look(MINE, "staging")).config == {"limit": 5}


async def test_many_keys_are_set_together_or_not_at_all(house: House) -> None:
    """One that does not fit keeps all others back, and is named; a dry run sets none either."""
    before = await house.look("sample-service", "development")
    values: dict[str, Any] = {"max_batch_size": 2_000, "auto_approve_threshold": 0.95}
    bulk = BulkConfig(
        service="sample-service",
        environment=Environment.DEVELOPMENT,
        values=values | {"max_batch_size": "many"},
    )
    refused = await house.refusal(SchemaRefused, bulk)
    assert [error.field for error in refused.errors] == ["max_batch_size"]
    dry = bulk.model_copy(update={"values": values, "dry_run": True})
    assert len((await house.ask(dry)).affected[0].changes) == 2
    assert await house.look("sample-service", "development") == before
    await house.ask(dry.model_copy(update={"dry_run": False, "values": values | {"odd_key": True}}))
    after = (await house.look("sample-service", "development")).config
    assert after == before.config | values | {"odd_key": True}


async def test_a_key_that_nobody_reads_is_taken_with_a_caution(house: House) -> None:
    """And the one that was most likely meant."""
    edited = await house.ask(SetConfig(service="sample-service", name="max_batch_sise", value=5))
    (caution,) = edited.warnings
    assert "max_batch_size" in caution.remedy


async def test_what_cannot_be_is_refused_with_its_reason(house: House) -> None:
    """Reserved names, duplicates, what is not there, versions that nobody saw."""
    await house.refusal(ReservedName, SetConfig(service=MINE, name="production", value=1))
    await house.refusal(ReservedName, DeleteConfig(service=MINE, name="PROD"))
    twice = CreateConfig(service_name="auth-service", key="enable_2fa", value=True)
    await house.refusal(DuplicateKey, twice)
    await house.refusal(ConfigNotFound, LookConfig(service=MINE, name="production"))
    await house.refusal(ConfigNotFound, DeleteConfig(service=MINE, name="limit"))
    stale = SetConfig(service="auth-service", name="enable_2fa", value=True, expected_version=7)
    assert (await house.refusal(StaleVersion, stale)).version == 1
    back = RollbackConfig(service="auth-service", environment=Environment.DEFAULT, to_version=9)
    assert (await house.refusal(NoSuchVersion, back)).newest == 1


async def test_the_same_again_is_no_release(house: House) -> None:
    """But 1, 1.0 and true are three configurations."""
    versions: list[int] = []
    for value in (1, 1, 1.0, True, True):
        edited = await house.ask(SetConfig(service=MINE, name="limit", value=value))
        versions.append(edited.version)
    assert versions == [1, 1, 2, 3, 3]


async def test_going_back_is_a_new_release_of_the_same_content(house: House) -> None:
    """Byte for byte; the history keeps what was between."""
    for value in range(3):
        await house.ask(SetConfig(service=MINE, name="limit", value=value, reason=f"try {value}"))
    back = RollbackConfig(service=MINE, environment=Environment.DEFAULT, to_version=1)
    assert (await house.ask(back)).version == 4
    first = await house.ask(GetRelease(service=MINE, environment=Environment.DEFAULT, version=1))
    newest = await house.ask(GetRelease(service=MINE, environment=Environment.DEFAULT))
    assert newest.release.sha256 == first.release.sha256
    assert newest.release.items == first.release.items
    lines = (await house.ask(ReleaseHistory(service=MINE, environment=Environment.DEFAULT))).items
    assert [line.version for line in lines] == [4, 3, 2, 1]
    assert [line.reason for line in lines[1:]] == ["try 2", "try 1", "try 0"]
    diff = DiffConfig(service=MINE, environment=Environment.DEFAULT, from_version=2, to_version=3)
    assert [(c.before, c.after) for c in (await house.ask(diff)).changes] == [(1, 2)]


async def test_an_export_read_back_changes_nothing(house: House) -> None:
    """The same layer is the same document."""
    export = ExportConfig(service="sample-service", environment=Environment.DEFAULT)
    document = await house.ask(export)
    edited = await house.ask(
        ImportConfig(service="sample-service", environment=Environment.DEFAULT, document=document)
    )
    assert (edited.version, edited.affected) == (1, [])
    assert await house.ask(export) == document


async def test_whoever_waits_hears_of_the_next_release(house: House) -> None:
    """Not before, and not of the one that is known."""
    known = (await house.look("auth-service")).version
    query = LookConfig(service="auth-service", name=PRODUCTION, known=known, wait_seconds=30)
    waiting = asyncio.create_task(house.lab.bus.ask(query, timeout_seconds=40))
    await SYSTEM.sleep(0.2)
    assert not waiting.done()
    await house.ask(SetConfig(service="auth-service", name="jwt_expiry_hours", value=99))
    answer = await waiting
    assert isinstance(answer, ServiceConfig)
    assert answer.version == known + 1


@pytest.mark.parametrize(
    "command",
    [
        CreateConfig(service_name=MINE, key="limit", value=1),
        SetConfig(service=MINE, name="limit", value=1, expected_version=0),
    ],
    ids=["create", "set"],
)
async def test_a_command_that_comes_again_is_answered_as_the_first_time(
    house: House, command: CreateConfig | SetConfig
) -> None:
    """As after a kill between the append and the answer."""
    answers = await handled_twice(house, command)
    assert [(one.version, one.seq) for one in answers] == [(1, answers[0].seq)] * 2
    assert (await house.look(MINE)).version == 1


async def handled_twice(house: House, command: CreateConfig | SetConfig) -> list[ConfigEdited]:
    """Have the service handle a command, and then the same again."""
    running = house.lab.fleets["config"].running[0].service
    handler = next(one for one in running.handlers if one.message is type(command))
    return [
        await handler.call(
            command,
            Context(
                message_id="0192a000-0000-7000-8000-000000000001",
                actor="ada",
                correlation="story",
                now=SYSTEM.now(),
                delivered=delivered,
            ),
        )
        for delivered in (1, 2)
    ]


async def test_a_protected_environment_changes_with_somebody_elses_consent(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """Also where the change comes through `default`; nobody consents to their own."""
    async for house in open_house(laboratory, tmp_path, protected=frozenset({PRODUCTION})):
        blind = SetConfig(
            service="auth-service", name="enable_2fa", environment=PRODUCTION, value=True
        )
        await house.refusal(VersionRequired, blind)
        wanted = SetConfig(service="auth-service", name="enable_2fa", value=True)
        asked, again = await handled_twice(house, wanted)
        assert asked.change_request is not None
        assert (asked.version, asked.change_request) == (1, again.change_request)
        assert again.version == 1
        assert (await house.look("auth-service")).config["enable_2fa"] is False
        consent = DecideChange(change_request=asked.change_request, approve=True)
        with pytest.raises(Exception, match="somebody else"):
            await house.ask(consent, actor="ada")
        await house.ask(consent, actor="grace")
        assert (await house.look("auth-service")).config["enable_2fa"] is True
        with pytest.raises(Exception, match="decided by grace"):
            await house.ask(consent, actor="lise")


async def test_a_secret_is_nowhere_in_the_clear(house: House) -> None:
    """In no answer and no stored message; it opens for its owner, and elsewhere nowhere."""
    sealed = house.sealed("auth-service", "jwt_secret", CANARY)
    edited = await house.ask(
        SetConfig(service="auth-service", name="jwt_secret", value=sealed, encrypted=True)
    )
    shown = await house.look("auth-service")
    audit = await house.ask(ReadAudit(service="auth-service"))
    assert (shown.config["jwt_secret"], shown.secrets) == (None, ["jwt_secret"])
    moved = SetConfig(service="auth-service", name="api_key", value=sealed, encrypted=True)
    await house.refusal(Unsealable, moved)
    released = (await house.ask(GetRelease(service="auth-service", environment=PRODUCTION))).release
    item = released.items["jwt_secret"]
    opened = house.ring.service_keys("auth-service").decrypt(
        str(item.value),
        service="auth-service",
        environment="default",
        key="jwt_secret",
        version=item.since,
    )
    assert opened == CANARY
    said = f"{edited}{shown}{audit}{released}"
    for stream in (subjects.log_stream("config"), subjects.EVENTS, subjects.COMMANDS):
        async for raw in house.lab.bus.connection.read(stream, ">"):
            said += raw.body.decode()
    assert "jwt_secret" in said
    assert CANARY not in said


async def test_rotation_wraps_secrets_anew(house: House) -> None:
    """Every one, once; what they hold stays."""
    for name in ("jwt_secret", "smtp_password"):
        sealed = house.sealed("auth-service", name, f"{CANARY} {name}")
        await house.ask(SetConfig(service="auth-service", name=name, value=sealed, encrypted=True))
    running = house.lab.fleets["config"].running[0].service
    ring = next(h for h in running.handlers if h.message is RotateKeys).call.keywords["ring"]  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    ring.add_key()
    assert (await house.ask(RotateKeys())).rewrapped == 2
    assert (await house.ask(RotateKeys())).rewrapped == 0
    items = (
        await house.ask(GetRelease(service="auth-service", environment=PRODUCTION))
    ).release.items
    assert {str(items[n].value).split(":")[2] for n in ("jwt_secret", "smtp_password")} == {"k2"}


async def test_what_a_program_would_refuse_is_refused_to_it(house: House) -> None:
    """By the schema that it told, also of a secret, whose value is not said."""
    document = {
        "type": "object",
        "properties": {"pin": {"type": "string"}, "limit": {"type": "integer", "maximum": 9}},
    }
    await house.ask(
        RegisterSchema(
            service=MINE, schema_hash=SCHEMA_HASH, document=document, program_version="7"
        )
    )
    refused = await house.refusal(SchemaRefused, SetConfig(service=MINE, name="limit", value=10))
    assert [error.field for error in refused.errors] == ["limit"]
    sealed = house.sealed(MINE, "pin", 815)
    wrong = SetConfig(service=MINE, name="pin", value=sealed, encrypted=True)
    refused = await house.refusal(SchemaRefused, wrong)
    assert "815" not in str(refused)


async def test_the_audit_is_one_chain_for_each_environment(house: House) -> None:
    """Who, when, why, before and after, of every release; an edit of a byte breaks it."""
    for value in range(3):
        await house.ask(SetConfig(service=MINE, name="limit", value=value, reason="because"))
    logs = await house.ask(ReadAudit(service=MINE))
    assert len(logs) == len(Environment)
    for log in logs:
        bodies = [entry.encode() for entry in log.entries]
        assert verify_chain(bodies) == 3
        with pytest.raises(ValueError, match="entry"):
            verify_chain([bodies[0].replace(b"ada", b"eve"), *bodies[1:]])


async def test_two_processes_inherit_what_either_changed(
    house: House, laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each remembers releases of its own; none is made of a `default` that is not the newest."""
    # As long after their start: else each command has the log read.
    monkeypatch.setattr(outcomes, "RESTART_SKEW_SECONDS", -60.0)
    other = Fleet(laboratory.common)
    await other.start([blueprint(tmp_path)])
    try:
        for number in range(1, ROUNDS + 1):
            await house.ask(SetConfig(service=MINE, name="beneath", value=number))
            # Who shows a release reads it alone, not what it stands on.
            look = GetRelease(service=MINE, environment=STAGING)
            await asyncio.gather(*(house.ask(look) for _ in range(4)))
            await house.ask(SetConfig(service=MINE, environment=STAGING, name="own", value=number))
    finally:
        await other.stop()

    newest = {one: await house.ask(GetRelease(service=MINE, environment=one)) for one in LAYERS}
    assert newest[STAGING].release.inherits == newest[Environment.DEFAULT].release.version
    shown = (await house.look(MINE, STAGING)).config
    assert shown == {"beneath": ROUNDS, "own": ROUNDS}
