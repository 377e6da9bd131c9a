"""Secrets: what opens where, and what opens nowhere."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config.ciphers import CipherError, seal
from infra.config.keyring import KEYS_MAX, KeyFileError, Keyring, ServiceKeys

CANARY = "canary-7f3a"
HERE = {"service": "auth-service", "environment": "production", "key": "smtp_password"}
ELSEWHERE = [
    HERE | {"service": "sample-service"},
    HERE | {"environment": "staging"},
    HERE | {"key": "api_key"},
]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Make a ring."""
    return Keyring.make(tmp_path_factory.mktemp("keys") / "ring.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(value=JSON)
def test_what_was_sealed_and_encrypted_comes_back(ring: Keyring, value: object) -> None:
    """Through both, any JSON value."""
    sealed = seal(ring.public_key, **HERE, value=value)  # type: ignore[arg-type]  # any JSON
    opened = ring.unseal(sealed, **HERE)
    text = ring.encrypt(**HERE, version=3, value=opened)
    keys = ring.service_keys("auth-service")
    assert keys.decrypt(text, **HERE, version=3) == value


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_sealed_value_opens_for_its_own_place_only(ring: Keyring, place: dict[str, str]) -> None:
    """A message that was edited on its way to name another key is refused."""
    sealed = seal(ring.public_key, **HERE, value=CANARY)
    with pytest.raises(CipherError) as refused:
        ring.unseal(sealed, **place)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("place", ELSEWHERE[1:])
def test_a_ciphertext_that_was_moved_opens_nowhere(ring: Keyring, place: dict[str, str]) -> None:
    """Neither under another key or environment, nor in another version."""
    text = ring.encrypt(**HERE, version=3, value=CANARY)
    keys = ring.service_keys("auth-service")
    with pytest.raises(CipherError):
        keys.decrypt(text, **place, version=3)
    with pytest.raises(CipherError):
        keys.decrypt(text, **HERE, version=4)


def test_another_service_cannot_open_it(ring: Keyring) -> None:
    """Its keys are derived for it alone."""
    text = ring.encrypt(**HERE, version=1, value=CANARY)
    with pytest.raises(CipherError, match="another service"):
        ring.service_keys("sample-service").decrypt(text, **HERE, version=1)


@given(data=st.data())
def test_any_edit_of_a_ciphertext_is_found(ring: Keyring, data: st.DataObject) -> None:
    """One character changed to another, anywhere, in what is sealed and in what is encrypted."""
    sealed = seal(ring.public_key, **HERE, value=CANARY)
    text = ring.encrypt(**HERE, version=1, value=CANARY)
    whole = data.draw(st.sampled_from([sealed, text]))
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(whole[at].__ne__))
    edited = whole[:at] + other + whole[at + 1 :]
    with pytest.raises(CipherError) as refused:
        _open(ring, edited, sealed=whole is sealed)
    assert CANARY not in str(refused.value)


def _open(ring: Keyring, text: str, *, sealed: bool) -> None:
    if sealed:
        ring.unseal(text, **HERE)
    else:
        ring.service_keys("auth-service").decrypt(text, **HERE, version=1)


def test_rotation_wraps_anew_and_opens_no_value(tmp_path: Path) -> None:
    """The ciphertext proper stays; the old key alone opens it no more, the ring does."""
    ring = Keyring.make(tmp_path / "ring.json")
    text = ring.encrypt(**HERE, version=1, value=CANARY)
    old = dict(ring.service_keys("auth-service").keys)
    assert ring.add_key() == ring.newest_id == "k2"
    again = ring.rewrap("auth-service", text)
    assert again.split(":")[2] == "k2"
    assert again.split(":")[4:] == text.split(":")[4:]
    assert ring.rewrap("auth-service", again) == again
    assert ring.service_keys("auth-service").decrypt(again, **HERE, version=1) == CANARY
    with pytest.raises(CipherError, match="k2"):
        ServiceKeys("auth-service", old).decrypt(again, **HERE, version=1)


def test_files_are_their_owners_alone_and_come_back(tmp_path: Path) -> None:
    """A ring and a service's keys are as they were after a restart."""
    path = tmp_path / "ring.json"
    ring = Keyring.make(path)
    ring.add_key()
    ring.save(path)
    again = Keyring.load(path)
    assert (again.public_key, again.newest_id) == (ring.public_key, "k2")
    text = ring.encrypt(**HERE, version=1, value=CANARY)
    own = tmp_path / "auth-service.json"
    again.service_keys("auth-service").save(own)
    assert ServiceKeys.load(own).decrypt(text, **HERE, version=1) == CANARY
    assert {stat.S_IMODE(one.stat().st_mode) for one in (path, own)} == {0o600}
    with pytest.raises(KeyFileError, match="keep it"):
        Keyring.make(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "no JSON"),
        ("[]", "restore it"),
        (json.dumps({"keys": {}, "sealing": ""}), "another kind"),
        (json.dumps({"keys": {"k1": "AAAA"}, "sealing": ""}), "another kind"),
        (json.dumps({"keys": {"k1": 7}, "sealing": ""}), "no keys"),
    ],
)
def test_a_file_that_is_no_ring_says_what_to_do(
    tmp_path: Path, content: str | None, says: str
) -> None:
    """It names the file and the remedy."""
    path = tmp_path / "ring.json"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    with pytest.raises(KeyFileError, match=says) as refused:
        Keyring.load(path)
    assert str(path) in str(refused.value)


def test_a_ring_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Loudly, with the command that mends it."""
    path = tmp_path / "ring.json"
    Keyring.make(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Keyring.load(path)


def test_a_ring_has_a_bound(tmp_path: Path) -> None:
    """Beyond it the remedy is told."""
    ring = Keyring.make(tmp_path / "ring.json")
    for _ in range(KEYS_MAX - 1):
        ring.add_key()
    with pytest.raises(KeyFileError, match="make another"):
        ring.add_key()
