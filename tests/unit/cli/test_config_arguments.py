"""What people type after `tracseq config`: values as meant, secrets never, the rest refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner

from contracts.config import BeginRollout, SetConfig
from contracts.config_release import Cause, Edits
from contracts.config_types import Change, Environment
from contracts.config_views import ConfigDocument
from services.cli.app import make
from services.cli.config import shown
from services.cli.config.files import read, written
from services.cli.config.given import assignments, environment, made, run_environment
from services.cli.config.programs import limits
from services.cli.config.requests import in_words
from services.cli.exits import Exit
from services.cli.outcome import CliError
from tests.fixtures.cli import ROOT
from tests.fixtures.cli import environment as clean

CANARY = "canary-8d1f"
RUNNER = CliRunner()


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("2000", 2000),
        ("0.95", 0.95),
        ("true", True),
        ("null", None),
        ('"2000"', "2000"),
        ("[1, 2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("fast", "fast"),
        ("a=b", "a=b"),
        ("", ""),
        ("NaN", "NaN"),
        ("12345678901234567890123", 12345678901234567890123),
    ],
)
def test_a_value_is_json_or_else_text(typed: str, value: JsonValue) -> None:
    """Numbers keep their digits, and what is no JSON is what was typed."""
    assert assignments([f"key={typed}"], text=False) == {"key": value}
    assert assignments([f"key={typed}"], text=True) == {"key": typed}


def test_it_is_said_what_was_taken_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever meant JSON sees the mistake; whoever said --text is not told."""
    assignments(["limit=1O0", "mode=3"], text=False)
    assignments(["mode=fast"], text=True)
    said = capsys.readouterr().err
    assert said.count("taken as text") == 1
    assert "limit" in said


@pytest.mark.parametrize(
    ("given", "says"),
    [(["limit"], "has no ="), (["a=1", "a=2"], "given twice"), (["jwt_secret=x"], "like a secret")],
)
def test_an_assignment_that_is_none_is_refused(given: list[str], says: str) -> None:
    """The remedy shows what can be written; the value of a secret is not repeated."""
    with pytest.raises(CliError, match=says) as caught:
        assignments(given, text=False)
    assert caught.value.code is Exit.USAGE
    assert caught.value.remedy


def test_what_is_named_like_a_secret_may_be_plain() -> None:
    """Where it is said so."""
    assert assignments(["page_token=3"], text=False, plain=True) == {"page_token": 3}


def test_environments_are_known_by_their_short_names() -> None:
    """`prod` is production; nothing runs in `default`."""
    assert environment("prod") is Environment.PRODUCTION
    assert environment("default") is Environment.DEFAULT
    assert run_environment("dev") is Environment.DEVELOPMENT
    for wrong in ("moon", ""):
        with pytest.raises(CliError, match="is no environment"):
            environment(wrong)
    with pytest.raises(CliError, match="inherited"):
        run_environment("default")


def test_a_message_that_does_not_fit_lists_its_fields_and_no_value() -> None:
    """As the edge would refuse it, before anything is sent."""
    layer: dict[str, Any] = {"service": "-", "environment": "production"}
    with pytest.raises(CliError) as caught:
        made(SetConfig, **layer, name="k", value=CANARY, tags=["a b"])
    problem = caught.value.problem
    assert problem is not None
    assert [one.field for one in problem.errors] == ["service", "tags[0]"]
    assert CANARY not in problem.model_dump_json()
    with pytest.raises(CliError, match="1 value"):
        made(BeginRollout, **layer | {"service": "ab"}, values={"a": 1}, percents=[10, 5])


def test_null_is_a_value_and_not_nothing() -> None:
    """What is None is left out, unless it was said."""
    assert made(SetConfig, nulls=("value",), service="ab", name="k", value=None).value is None
    with pytest.raises(CliError):
        made(SetConfig, service="ab", name="k", value=None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("jwt_secret=" + CANARY,),
        ("jwt_secret=" + CANARY, "--secret"),
        ("jwt_secret=" + CANARY, "--env", "prod", "--json"),
        ("a=1", "api_key=" + CANARY),
    ],
)
def test_a_secret_in_the_command_line_is_refused_and_not_repeated(
    arguments: tuple[str, ...],
) -> None:
    """Nothing is sent, and no screen or log shows it once more."""
    env = clean({"TRACSEQ_EDGE_URL": "http://127.0.0.1:9"})
    ended = subprocess.run(
        [sys.executable, "-m", "services", "config", "set", "auth-service", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == Exit.USAGE
    assert "--secret" in ended.stderr or "KEY alone" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


def test_a_secret_is_shown_as_a_word() -> None:
    """Also where its value, by mistake, is there."""
    assert shown.value(CANARY, secret=True) == "(secret)"
    change = Change(key="k", before=CANARY, after=CANARY, secret=True, was=True, stays=False)
    assert shown.before_after(change) == ("(secret)", "-")
    assert shown.value("ä" * 200) == '"' + "ä" * 78 + "…"


def test_what_somebody_wants_is_said_on_one_line() -> None:
    """Set, deleted, templates, and whether all else goes."""
    edits = Edits(
        service="sample-service",
        environment=Environment.STAGING,
        delete=("old",),
        templates=(),
        replace=True,
        cause=Cause.BULK,
    )
    assert in_words(edits) == "without old, templates none, and nothing else"


def test_bounds_of_a_value_are_said_for_people() -> None:
    """Of a JSON Schema what a person may type."""
    assert limits({"type": "integer", "minimum": 1, "maximum": 10}) == "≥ 1, ≤ 10"
    assert limits({"type": "string"}) == ""


def test_the_same_layer_is_the_same_file(tmp_path: Path) -> None:
    """Written, read and written again it is the same bytes, and a person can read it."""
    document = ConfigDocument(
        service="sample-service", environment=Environment.STAGING, templates=["b", "a"], items={}
    )
    file = tmp_path / "staging.json"
    file.write_text(written(document), encoding="utf-8")
    assert read(file) == document
    assert written(read(file)) == file.read_text(encoding="utf-8")
    assert list(json.loads(file.read_text(encoding="utf-8"))) == sorted(document.model_dump())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other/9"}', "no json"])
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, content: str) -> None:
    """With its name; one that is not there too."""
    file = tmp_path / "x.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(CliError, match=r"x\.json is no configuration document"):
        read(file)
    with pytest.raises(CliError, match="cannot be read"):
        read(tmp_path / "missing.json")


COMMANDS = [
    ["config", *path]
    for path in (
        *(["get"], ["set"], ["list"], ["delete"], ["history"], ["diff"], ["rollback"], ["explain"]),
        *(["export"], ["import"], ["requests"], ["approve"], ["clients"], ["schema"], ["audit"]),
        *(["verify"], ["rollout", "begin"], ["rollout", "watch"], ["rollout", "list"]),
        *(["rollout", "advance"], ["rollout", "abort"], ["template", "save"]),
        *(["template", "show"], ["template", "use"], ["keys", "new"], ["keys", "add"]),
        *(["keys", "derive"], ["keys", "rotate"], ["keys", "show"]),
    )
]


@pytest.mark.parametrize("path", COMMANDS, ids="-".join)
def test_every_command_says_how_it_is_used(path: list[str]) -> None:
    """With --help: what it does, an example where one helps, and its exit codes."""
    ended = RUNNER.invoke(make(), [*path, "--help"], env={"COLUMNS": "200"})
    assert ended.exit_code == 0
    assert "Exit codes: 0 done" in ended.output
    if path[-1] != "show" or "template" in path:
        assert f"tracseq {' '.join(path)} " in ended.output
