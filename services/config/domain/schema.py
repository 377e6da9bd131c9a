"""The aggregate of what the programs of a service understand, and the check of a release by it.

A release is accepted where every program that may read it would accept it. What a key is good for
is known from those programs, and of the defaults from here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

import jsonschema_rs
from pydantic import JsonValue

from contracts.aggregate import Aggregate
from contracts.config import RegisterSchema
from contracts.config_release import SchemaRegistered
from contracts.config_types import Item, to_json
from contracts.config_views import Caution
from contracts.entry import Entry
from contracts.errors import FieldError, Refusal
from contracts.message import Event

SCHEMAS_MAX = 50
"""Of one service: the newest count."""
VALIDATORS_MAX = 256
VALUE_CHARS_MAX = 120
PROBLEM_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Known:
    """What programs told, the newest last."""

    schemas: tuple[SchemaRegistered, ...]


def evolve(current: Known | None, event: Event, entry: Entry) -> Known | None:
    """Add a schema to those known."""
    del entry
    if not isinstance(event, SchemaRegistered):
        return current
    before = current.schemas if current else ()
    return Known((*before[-(SCHEMAS_MAX - 1) :], event))


SCHEMA: Aggregate[Known] = Aggregate("config", "schema", Known, evolve)


def register(current: Known | None, command: RegisterSchema) -> Sequence[Event] | Refusal:
    """Keep a schema, once."""
    known = {one.schema_hash for one in current.schemas} if current else set[str]()
    if command.schema_hash in known:
        return ()
    return [
        SchemaRegistered(
            service=command.service,
            schema_hash=command.schema_hash,
            document=command.document,
            program_version=command.program_version,
        )
    ]


def in_question(known: Known | None, running: Collection[str | None]) -> list[SchemaRegistered]:
    """Say which schemas count: those of programs that run; where none does, the newest told."""
    schemas = known.schemas if known else ()
    used = [one for one in schemas if one.schema_hash in running]
    return used or list(schemas[-1:])


def faults(
    items: Mapping[str, Item],
    schemas: Sequence[tuple[str, dict[str, Any]]],
    opened: Mapping[str, JsonValue],
) -> list[FieldError]:
    """Say what a program would refuse of a release, by key; what a secret holds is never said.

    `opened` has the secrets in the clear; of those that are not in it the value is not measured.
    """
    secret = {key for key, item in items.items() if item.secret}
    document = {key: opened.get(key) if key in secret else items[key].value for key in items}
    found: dict[tuple[str, str], FieldError] = {}
    for name, schema in schemas:
        for error in _validator(to_json(schema)).iter_errors(document):
            path = [str(part) for part in error.instance_path]
            if path and path[0] in secret - opened.keys():
                continue
            hidden = not path or path[0] in secret
            fault = FieldError(
                field=".".join(path) or "release",
                value=None if hidden else _short(error.instance),
                problem=f"does not fit {name}: {error.message}"[:PROBLEM_CHARS_MAX],
                remedy="GET .../schema shows what is understood.",
            )
            found.setdefault((fault.field, fault.problem), fault)
    return list(found.values())


def cautions(keys: Collection[str], schemas: Sequence[tuple[str, dict[str, Any]]]) -> list[Caution]:
    """Warn of keys that no program knows."""
    understood = {key for _, schema in schemas for key in properties(schema)}
    return [_caution(key, understood) for key in sorted(set(keys) - understood)]


def _caution(key: str, understood: Collection[str]) -> Caution:
    close = get_close_matches(key, understood, n=1)
    remedy = f"Did you mean {close[0]}?" if close else "Nothing to do where one is to come."
    return Caution(key=key, problem="no program that is known reads this key", remedy=remedy)


def properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the schema of each key."""
    return cast("dict[str, dict[str, Any]]", schema.get("properties", {}))


@lru_cache(maxsize=VALIDATORS_MAX)
def _validator(schema: bytes) -> jsonschema_rs.Draft202012Validator:
    # What an error says stands for the value, which may be a secret.
    return jsonschema_rs.Draft202012Validator(schema.decode(), mask="it")


def _short(value: object) -> str:
    text = to_json(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"
