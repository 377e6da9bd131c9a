"""What a program makes of the releases that it is given, and of the file that it starts from."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from infra.config.configuration import Configuration
from infra.config.keyring import Keyring
from infra.config.release import UnreadableReleaseError, release_in, resolve
from infra.config.snapshot_file import read_snapshot, write_snapshot
from infra.telemetry import metrics
from tests.unit.config_client.releases import (
    ENVIRONMENT,
    INSTANCE,
    SERVICE,
    Bench,
    identity,
    item,
    release,
)

CANARY = "canary-51c0"
SECRET = {"service": SERVICE, "environment": "default", "key": "smtp_password"}


def refused_total() -> float:
    """Count what was refused so far."""
    return metrics.value("tracseq_config_refused_total", service="bench")


def test_a_release_is_in_force_whole_and_told_once() -> None:
    """The snapshot is another object, keys that nobody declared are left out, listeners hear it."""
    config = Configuration(Bench, identity())
    heard: list[Bench] = []
    config.on_change(heard.append)
    before = config.current
    assert config.take(release(3, {"max_batch_size": 7, "unknown": {"a": 1}}), "bus")
    assert (before.max_batch_size, config.current.max_batch_size) == (1_000, 7)
    assert heard == [config.current]
    assert (config.snapshot.version, config.snapshot.source) == (3, "bus")
    assert metrics.value("tracseq_config_version", service="bench") == 3
    assert config.take(release(4, {"max_batch_size": 7}), "bus")
    assert len(heard) == 1


def test_a_whole_number_with_a_point_is_a_whole_number() -> None:
    """JSON knows one kind of number, and so does its schema."""
    config = Configuration(Bench, identity())
    assert config.take(release(1, {"max_batch_size": 20.0}), "bus")
    assert config.current.max_batch_size == 20


def test_a_staged_change_is_for_its_members_alone() -> None:
    """Whoever is not among them sees nothing of it."""
    config = Configuration(Bench, identity())
    staged: dict[str, Any] = {"overlay": {"max_batch_size": 2}}
    config.take(release(1, {"max_batch_size": 1}, **staged, members=["another"]), "bus")
    assert config.current.max_batch_size == 1
    config.take(release(2, {"max_batch_size": 1}, **staged, members=["x", INSTANCE]), "bus")
    assert config.current.max_batch_size == 2


def test_a_release_that_does_not_fit_is_refused_and_the_last_good_one_stays() -> None:
    """It is said which, why and what to do, once; the next good one ends it."""
    config = Configuration(Bench, identity())
    config.take(release(1, {"max_batch_size": 7}), "bus")
    count = refused_total()
    with capture_logs() as lines:
        assert not config.take(release(2, {"max_batch_size": CANARY}), "bus")
        assert not config.take(release(2, {"max_batch_size": CANARY}), "bus")
    assert (config.current.max_batch_size, config.snapshot.version) == (7, 1)
    assert config.snapshot.refused is not None
    assert config.snapshot.refused.version == 2
    assert "max_batch_size" in config.snapshot.refused.error
    (said,) = [line for line in lines if line["event"] == "config.refused"]
    assert (said["refused_version"], said["kept_version"]) == (2, 1)
    assert "roll back" in said["remedy"]
    assert CANARY not in str(lines)
    assert refused_total() == count + 1
    assert config.take(release(3, {"max_batch_size": 8}), "bus")
    assert config.snapshot.refused is None


def test_a_release_that_was_edited_on_its_way_is_refused() -> None:
    """Its hash does not fit what it says."""
    config = Configuration(Bench, identity())
    edited = release(1, {"max_batch_size": 7})
    edited["items"]["max_batch_size"]["value"] = 8
    assert not config.take(edited, "bus")
    assert config.current.max_batch_size == 1_000
    assert config.snapshot.refused is not None
    assert "damaged or edited" in config.snapshot.refused.error


def test_a_release_of_another_service_is_refused() -> None:
    """Such as one in a file that was copied from elsewhere."""
    config = Configuration(Bench, identity())
    assert not config.take(release(1, {}) | {"service": "auth-service"}, "file")


def test_a_listener_that_fails_keeps_nobody_from_the_release() -> None:
    """It is logged, and the next one hears."""
    config = Configuration(Bench, identity())
    heard: list[Bench] = []

    def fail(_: Bench) -> None:
        raise RuntimeError("the listener's own affair")

    config.on_change(fail)
    config.on_change(heard.append)
    with capture_logs() as lines:
        assert config.take(release(1, {"max_batch_size": 7}), "bus")
    assert heard == [config.current]
    assert [line["event"] for line in lines].count("config.listener_failed") == 1


def test_a_secret_is_opened_for_its_owner_and_stays_ciphertext_in_the_file(tmp_path: Path) -> None:
    """With the service's own keys; the log, the file and what is shown hold no plaintext."""
    ring = Keyring.make(tmp_path / "ring.json")
    ring.service_keys(SERVICE).save(tmp_path / "keys" / f"{SERVICE}.json")
    text = ring.encrypt(**SECRET, version=1, value=CANARY)
    held = release(1, {}, items={"smtp_password": item(text, secret=True)})
    config = Configuration(Bench, identity(keys=tmp_path / "keys", snapshots=tmp_path / "kept"))
    with capture_logs() as lines:
        assert config.take(held, "bus")
    assert config.current.smtp_password == CANARY
    file = config.identity.file
    assert file is not None
    assert config.snapshot.release is not None
    write_snapshot(file, config.snapshot.release.document)
    assert CANARY not in file.read_text()
    assert CANARY not in f"{lines} {config.snapshot}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_secret_without_keys_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """And one that the program does not declare needs none."""
    text = Keyring.make(tmp_path / "ring.json").encrypt(**SECRET, version=1, value=CANARY)
    config = Configuration(Bench, identity())
    assert config.take(release(1, {}, items={"other_token": item(text, secret=True)}), "bus")
    assert not config.take(release(2, {}, items={"smtp_password": item(text, secret=True)}), "bus")
    assert config.snapshot.refused is not None
    assert "TRACSEQ_CONFIG_KEYS_DIR" in config.snapshot.refused.error


def test_it_starts_from_the_file_of_the_last_good_release(tmp_path: Path) -> None:
    """Where nothing else is to be had, and says so."""
    config = Configuration(Bench, identity(snapshots=tmp_path))
    file = config.identity.file
    assert file is not None
    write_snapshot(file, release(5, {"max_batch_size": 7}))
    with capture_logs() as lines:
        config.take_file()
    assert (config.current.max_batch_size, config.snapshot.source) == (7, "file")
    assert [(line["event"], line.get("version")) for line in lines][-1] == ("config.from_file", 5)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"x" * 2_000_000])
def test_a_corrupt_file_is_named_and_the_defaults_hold(tmp_path: Path, content: bytes) -> None:
    """It keeps nobody from starting."""
    config = Configuration(Bench, identity(snapshots=tmp_path))
    file = config.identity.file
    assert file is not None
    file.write_bytes(content)
    with capture_logs() as lines:
        config.take_file()
    assert (config.current, config.snapshot.version) == (Bench(), 0)
    (said,) = lines
    assert said["event"] == "config.file_unusable"
    assert str(file) in said["error"]


@pytest.mark.parametrize("content", [b"[]", b"{}", b"null", b'{"version": "1"}'])
def test_a_file_that_holds_no_release_is_refused(tmp_path: Path, content: bytes) -> None:
    """As a release that does not fit would be; without any the defaults hold."""
    config = Configuration(Bench, identity(snapshots=tmp_path))
    file = config.identity.file
    assert file is not None
    file.write_bytes(content)
    config.take_file()
    assert (config.current, config.snapshot.version) == (Bench(), 0)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing lies beside it afterwards."""
    file = tmp_path / "kept" / "one.json"
    for version in (1, 2):
        write_snapshot(file, release(version, {}))
    assert (read_snapshot(file) or {}).get("version") == 2
    assert [one.name for one in file.parent.iterdir()] == ["one.json"]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*release(1, {}), "members"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(document=ANY_JSON)
def test_whatever_is_no_release_is_said_to_be_none(document: object) -> None:
    """Any JSON at all."""
    with pytest.raises(UnreadableReleaseError):
        resolve(document, service=SERVICE, environment=ENVIRONMENT, instance=INSTANCE)


@given(body=st.binary(max_size=60))
def test_whatever_is_no_entry_is_said_to_be_none(body: bytes) -> None:
    """Any bytes at all."""
    with pytest.raises(UnreadableReleaseError):
        release_in(body)
