"""Layers become releases: in whichever order they are set, in force is what should be."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.config_refusals import ReleaseTooLarge, StaleVersion
from contracts.config_release import Cause, Edits, Released
from contracts.config_types import (
    KEYS_MAX,
    RUN_IN,
    Environment,
    Item,
    TemplatePin,
    release_hash,
)
from contracts.errors import Refusal
from services.config.domain.layers import hash_of, resolve, same
from services.config.domain.release import ORDER, BaseMovedError, By, Current, Edition
from services.config.domain.rollout import chosen

AT = datetime(2026, 11, 22, tzinfo=UTC)
BY = By(author="ada", at=AT)
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from([None, 0, 1, 1.0, True, "x", [1], {"k": 2}])


def item(value: Any, source: str = "default") -> Item:  # noqa: ANN401 - JSON
    """Make an item."""
    return Item(value=value, source=source, created_at=AT, set_at=AT, set_by="ada")


def current(released: Released) -> Current:
    """Give what the log would hold after a release."""
    return Current(released.release, AT, "ada", "ada", released.cause, None, (1,))


def edit(
    layers: dict[Environment, Current | None],
    environment: Environment,
    **changes: Any,  # noqa: ANN401 - fields
) -> dict[Environment, Released]:
    """Make an edit so, in memory."""
    edits = Edits(service="s-1", environment=environment, cause=Cause.SET, **changes)
    planned = Edition(edits, BY).plan(layers)
    assert not isinstance(planned, Refusal), planned
    layers.update({one: current(released) for one, released in planned.items()})
    return planned


STEPS = st.lists(
    st.tuples(
        st.sampled_from(ORDER),
        st.dictionaries(KEYS, VALUES, max_size=2),
        st.lists(KEYS, max_size=1).map(tuple),
    ),
    max_size=8,
)


@given(steps=STEPS)
def test_what_is_in_force_is_own_over_default(
    steps: list[tuple[Environment, dict[str, Any], tuple[str, ...]]],
) -> None:
    """Beside a model that has nothing but two dictionaries; versions and hashes hold, too."""
    layers: dict[Environment, Current | None] = dict.fromkeys(ORDER)
    model: dict[Environment, dict[str, Any]] = {one: {} for one in ORDER}
    for environment, values, deleted in steps:
        planned = edit(
            layers,
            environment,
            set={key: item(value, environment) for key, value in values.items()},
            delete=deleted,
        )
        model[environment].update(values)
        for key in deleted:
            model[environment].pop(key, None)
        if planned and environment is Environment.DEFAULT:
            assert set(planned) == set(ORDER)
        else:
            assert set(planned) <= {environment}
        for one in ORDER:
            expected = model[Environment.DEFAULT] | model[one]
            found = layers[one]
            items = found.release.items if found else {}
            said = {key: json.dumps(i.value) for key, i in items.items()}
            assert said == {key: json.dumps(value) for key, value in expected.items()}
            for key, i in items.items():
                assert i.source == (one if key in model[one] else Environment.DEFAULT)
            if found is not None:
                assert found.release.sha256 == release_hash(found.release.model_dump(mode="json"))


@given(steps=STEPS)
def test_the_same_edit_again_makes_no_release(
    steps: list[tuple[Environment, dict[str, Any], tuple[str, ...]]],
) -> None:
    """Whatever came before."""
    layers: dict[Environment, Current | None] = dict.fromkeys(ORDER)
    for environment, values, deleted in steps:
        changes: dict[str, Any] = {
            "set": {key: item(value, environment) for key, value in values.items()},
            "delete": tuple(key for key in deleted if key not in values),
        }
        edit(layers, environment, **changes)
        assert edit(layers, environment, **changes) == {}


def test_every_release_follows_the_one_before() -> None:
    """By version and by hash, also those that are inherited."""
    layers: dict[Environment, Current | None] = dict.fromkeys(ORDER)
    for value in range(3):
        before = dict(layers)
        for one, released in edit(layers, Environment.DEFAULT, set={"a": item(value)}).items():
            old = before[one]
            assert released.release.version == (old.release.version if old else 0) + 1
            assert released.release.parent == (old.release.sha256 if old else "")
            assert released.cause is (Cause.SET if one is Environment.DEFAULT else Cause.INHERITED)


def test_templates_lie_between_and_the_last_wins() -> None:
    """And each value says which template it comes from."""
    pins = (
        TemplatePin(name="small", version=2, values={"a": 1, "b": 1}),
        TemplatePin(name="late", version=1, values={"b": 2}),
    )
    base, own = {"a": item(0), "b": item(0), "c": item(0)}, {"c": item(3, "staging")}
    items = resolve(base, pins, own, at=AT, by="ada")
    found = {key: (one.value, one.source) for key, one in items.items()}
    assert found == {
        "a": (1, "template:small@2"),
        "b": (2, "template:late@1"),
        "c": (3, "staging"),
    }


def test_numbers_that_are_equal_are_not_the_same() -> None:
    """1, 1.0 and true are three configurations, and have three hashes."""
    items = [item(1), item(1.0), item(True)]  # noqa: FBT003 - JSON
    assert [same(items[0], one) for one in items] == [True, False, False]
    assert len({hash_of({"a": one}, None) for one in items}) == 3


def test_an_edit_for_an_older_version_is_refused() -> None:
    """It names both."""
    layers: dict[Environment, Current | None] = dict.fromkeys(ORDER)
    edit(layers, Environment.STAGING, set={"a": item(1)})
    edits = Edits(
        service="s-1",
        environment=Environment.STAGING,
        set={"a": item(2)},
        expected_version=0,
        cause=Cause.SET,
    )
    refused = Edition(edits, BY).plan(layers)
    assert isinstance(refused, StaleVersion)
    assert (refused.version, refused.expected) == (1, 0)


@pytest.mark.parametrize("environment", [Environment.DEFAULT, *RUN_IN])
def test_a_release_has_a_bound(environment: Environment) -> None:
    """Nothing of what is beyond it is made."""
    edits = Edits(
        service="s-1",
        environment=environment,
        set={f"k{number}": item(number) for number in range(KEYS_MAX + 1)},
        cause=Cause.SET,
    )
    assert isinstance(Edition(edits, BY).plan(dict.fromkeys(ORDER)), ReleaseTooLarge)


@given(
    names=st.sets(st.text("abcdef0123456789-", min_size=1, max_size=8), min_size=1, max_size=60),
    percents=st.lists(st.floats(0.1, 100), min_size=1, max_size=5).map(sorted),
    rollout=st.uuids(),
)
def test_a_stage_never_has_more_than_its_share(
    names: set[str],
    percents: list[float],
    rollout: Any,  # noqa: ANN401 - an id
) -> None:
    """One at least; and whoever was in a smaller stage is in the larger."""
    before: set[str] = set()
    for percent in percents:
        members = set(chosen(rollout, names, percent))
        assert before <= members <= names
        assert 1 <= len(members) <= max(1, len(names) * percent / 100)
        before = members


def test_what_was_planned_on_an_older_default_is_not_made_so() -> None:
    """Neither where the layer's own release is newer than it, nor where that came meanwhile."""
    layers: dict[Environment, Current | None] = {}
    edit(layers, Environment.DEFAULT, set={"a": item(1)})
    older = dict(layers)
    edit(layers, Environment.DEFAULT, set={"a": item(2)})
    edits = Edits(
        service="s-1",
        environment=Environment.STAGING,
        cause=Cause.SET,
        set={"b": item(1, "staging")},
    )

    with pytest.raises(BaseMovedError):
        Edition(edits, BY).plan({**layers, Environment.DEFAULT: older[Environment.DEFAULT]})
    edition = Edition(edits, BY)
    assert not isinstance(edition.plan(older), Refusal)
    with pytest.raises(BaseMovedError):
        edition.decide(Environment.STAGING)(layers[Environment.STAGING])
