"""JSON Schemas of messages and answers, as files of their own and as parts of bigger documents.

A message's schema says what may be sent, an answer's what is received: the two differ where a value
is normalised (a Decimal is read from a number or a text, and written as a text).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from contracts import catalog
from contracts.message import Message, result_of

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENTS = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Parts:
    """Schemas of several messages that share their definitions."""

    messages: dict[str, Schema]
    """Type -> a reference to its schema."""
    answers: dict[str, Schema]
    """Type of a command or query -> the schema of its answer, mostly a reference."""
    definitions: dict[str, Schema]
    """What belongs under `components/schemas`."""


def schemas() -> dict[str, Schema]:
    """Give the schema of every message in its present version, as `sample.register.v1`.

    The `$id` is the message's `ce-dataschema`.
    """
    return {
        f"{type_}.v{message.contract.version}": {
            "$schema": DIALECT,
            "$id": message.contract.schema_urn,
            **message.model_json_schema(),
        }
        for type_, message in sorted(catalog.MESSAGES.items())
    }


def parts(messages: Sequence[type[Message]]) -> Parts:
    """Give the schemas of these messages and of what they are answered with."""
    inputs: list[tuple[tuple[str, str], JsonSchemaMode, TypeAdapter[Any]]] = []
    for message in messages:
        type_ = message.contract.type
        inputs.append((("message", type_), "validation", TypeAdapter(message)))
        asked = catalog.COMMANDS.get(type_) or catalog.QUERIES.get(type_)
        if asked is not None:
            answer: TypeAdapter[Any] = TypeAdapter(result_of(asked))
            inputs.append((("answer", type_), "serialization", answer))
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=COMPONENTS)
    return Parts(
        messages={type_: dict(s) for ((what, type_), _), s in found.items() if what == "message"},
        answers={type_: dict(s) for ((what, type_), _), s in found.items() if what == "answer"},
        definitions=dict(sorted(shared.get("$defs", {}).items())),
    )
