"""Live settings: what the schema lets pass, the program takes."""

import importlib
import random
from collections.abc import Mapping
from typing import Any, cast

import jsonschema_rs
import pytest
from pydantic.fields import FieldInfo

from contracts.config_types import config_name
from infra.breaker import CircuitBreakerConfig
from infra.config.live import BreakerNumbers, LiveSettings, schema_hash, schema_of
from services import catalog
from services.config.domain.defaults import DEFAULTS

DOCUMENTS = 10_000
EDGES: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, 0.5, 2.5, 1e300, -1e300, 1e-300),
    *(2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 999_999.0, 1_000_000, 1_000_001),
    *("", "1", "true", "5 minutes", "\x00", "ä", "💧", "off", "x" * 300),
    *([], [1], {}, {"a": 1}, [None]),
)


def live_models() -> dict[str, type[LiveSettings]]:
    """Find the live settings of every service, by its name; of those without, the base."""
    found: dict[str, type[LiveSettings]] = {}
    for service in catalog.SERVICES:
        settings = importlib.import_module(f"{service.module}.settings")
        found[service.name] = getattr(settings, "Live", LiveSettings)
    return found


MODELS = live_models()


def models_within(model: type[Any]) -> set[type[Any]]:
    """Give a model and the models of its fields."""
    numbers = {BreakerNumbers} if issubclass(model, LiveSettings) else set[type[Any]]()
    return {model} | numbers


@pytest.mark.parametrize("name", MODELS)
def test_a_live_model_declares_what_it_takes_and_codes_nothing(name: str) -> None:
    """No validators and a default for each key: its schema says all, and it starts without any."""
    for model in models_within(MODELS[name]):
        decorators = model.__pydantic_decorators__
        assert not decorators.field_validators
        assert not decorators.model_validators
        assert not decorators.root_validators
        assert not decorators.validators
        assert model.model_config.get("frozen") is True
        assert model.model_config.get("extra") == "ignore"
        fields = cast("Mapping[str, FieldInfo]", model.model_fields)
        assert [key for key, one in fields.items() if one.is_required()] == []
        assert [key for key, one in fields.items() if not one.description] == []
    _check(schema_of(MODELS[name]))


def _check(schema: object) -> None:
    """See that every number is bounded and that nothing is said that the two sides read apart."""
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            _check(one)
    if not isinstance(schema, dict):
        return
    said = cast("dict[str, Any]", schema)
    if said.get("type") in {"integer", "number"}:
        assert {"minimum", "exclusiveMinimum"} & said.keys(), said
        assert {"maximum", "exclusiveMaximum"} & said.keys(), said
    assert not {"multipleOf", "patternProperties", "uniqueItems", "oneOf"} & said.keys(), said
    for one in said.values():
        _check(one)


@pytest.mark.parametrize("name", MODELS)
def test_what_the_schema_lets_pass_the_program_takes(name: str) -> None:
    """Documents made of values at their edges, of the wrong kind, and of keys nobody declared."""
    model = MODELS[name]
    schema = schema_of(model)
    validator = jsonschema_rs.Draft202012Validator(schema)
    chance = random.Random(name)  # noqa: S311 - the same documents each time
    passed = 0
    for _ in range(DOCUMENTS // len(MODELS) + 1):
        document = _document(schema, chance)
        if validator.is_valid(document):
            model.model_validate(document)
            passed += 1
    assert passed > DOCUMENTS // len(MODELS) // 20


def _document(schema: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    keys = [key for key in schema["properties"] if chance.random() < 0.4]
    document = {key: _value(schema["properties"][key], schema, chance) for key in keys}
    if chance.random() < 0.1:
        document["nobody_reads_this"] = chance.choice(EDGES)
    return document


def _value(kind: Mapping[str, Any], schema: Mapping[str, Any], chance: random.Random) -> Any:  # noqa: ANN401 - JSON
    """Make a value that mostly fits its schema, and mostly nearly fits where it does not."""
    if chance.random() < 0.2:
        return chance.choice(EDGES)
    if "anyOf" in kind:
        return _value(chance.choice(kind["anyOf"]), schema, chance)
    if "$ref" in kind:
        return _document(schema["$defs"][kind["$ref"].rpartition("/")[2]], chance)
    if kind.get("type") in {"integer", "number"}:
        return _number(kind, chance)
    if kind.get("type") == "object":
        names = chance.sample(["store", "smtp", "", "a b", "ä"], chance.randint(0, 3))
        return {one: _value(kind["additionalProperties"], schema, chance) for one in names}
    return chance.choice([True, False]) if kind.get("type") == "boolean" else None


def _number(kind: Mapping[str, Any], chance: random.Random) -> float:
    low: float = kind.get("minimum", kind.get("exclusiveMinimum"))
    high: float = kind.get("maximum", kind.get("exclusiveMaximum"))
    inner = [low, high, low + 1, (low + high) // 2, float(low + 1), low - 1, high + 1, low + 0.5]
    return chance.choice(inner)


def test_the_values_that_a_laboratory_begins_with_are_taken_by_its_services() -> None:
    """And by the schema that the service tells of itself."""
    for name, model in MODELS.items():
        values = {key: value for key, (value, _) in DEFAULTS.get(config_name(name), {}).items()}
        assert jsonschema_rs.Draft202012Validator(schema_of(model)).is_valid(values)
        model.model_validate(values)


def test_the_numbers_of_a_breaker_are_those_of_its_configuration() -> None:
    """The same names, the same defaults; each alone goes into any configuration."""
    declared = CircuitBreakerConfig()
    for key, one in BreakerNumbers.model_fields.items():
        assert getattr(declared, key) == one.default
    live = LiveSettings.model_validate({"circuit_breakers": {"store": {"request_timeout": None}}})
    assert live.breaker_numbers() == {"store": {"request_timeout": None}}


def test_a_schema_is_named_by_what_it_says() -> None:
    """Twice the same name, and another for another."""
    assert schema_hash(schema_of(LiveSettings)) == schema_hash(schema_of(LiveSettings))
    assert schema_hash(schema_of(LiveSettings)) != schema_hash({})
