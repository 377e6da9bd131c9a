"""The contracts as AsyncAPI 3.0: what travels on which subject, who takes it, what comes back.

Commands, queries and public events of every service, and the bench's lab events. Events that stay
in their owner's log have no subject of their own and are left out.
"""

from collections.abc import Iterable
from typing import Any

from contracts import catalog, envelope, subjects
from contracts.export.examples import example
from contracts.export.schemas import Schema, parts
from contracts.message import Command, Contract, Kind, Message, Query

SPEC_VERSION = "3.0.0"
API_VERSION = "1.0.0"
SITE_PARAMETER = "{site}"
BENCH_READER = "event"
"""The service that takes in what the bench tells."""

STREAMS = {Kind.COMMAND: subjects.COMMANDS, Kind.EVENT: subjects.EVENTS, Kind.LAB: subjects.LAB}
"""Where a message of a kind is kept; queries are not."""
VERBS = {
    Kind.COMMAND: "Orders",
    Kind.QUERY: "Questions",
    Kind.EVENT: "Facts",
    Kind.LAB: "Raw facts from the bench",
}

_ID = {"type": "string", "minLength": 1}
HEADERS: Schema = {
    "type": "object",
    "description": "CloudEvents 1.0 in binary mode; values are percent-encoded as its HTTP "
    "binding says.",
    "properties": {
        envelope.MESSAGE_ID: {**_ID, "description": "The id again: the broker drops repetitions."},
        "content-type": {"const": envelope.CONTENT_TYPE},
        "ce-specversion": {"const": envelope.SPEC_VERSION},
        "ce-id": {**_ID, "description": "A redelivery has the same one."},
        "ce-type": _ID,
        "ce-source": _ID,
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-dataschema": {"type": "string", "pattern": "^urn:tracseq:.+:[0-9]+$"},
        "ce-subject": {"type": "string", "description": "What the message is about."},
        envelope.CORRELATION: {**_ID, "description": "The id of what set everything off."},
        envelope.CAUSATION: {**_ID, "description": "The id of what directly led to this."},
        envelope.ACTOR: {**_ID, "description": "Who wanted it."},
        envelope.TRACEPARENT: {"type": "string", "description": "W3C trace context."},
        envelope.REPLY: {"type": "string", "description": "Commands only: where the answer goes."},
        envelope.SAGA_ID: {"type": "string", "description": "Commands of a saga's steps only."},
        envelope.SAGA_TYPE: {"type": "string"},
        envelope.SAGA_STEP: {"type": "string"},
        envelope.DEADLINE: {"type": "string", "format": "date-time"},
    },
    "required": [
        envelope.MESSAGE_ID,
        "ce-specversion",
        "ce-id",
        "ce-type",
        "ce-source",
        "ce-time",
        "ce-dataschema",
    ],
}

REFUSED: Schema = {
    "type": "object",
    "description": "The answer where the service says no.",
    "properties": {
        "refused": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": sorted(catalog.REFUSALS)},
                "data": {"type": "object", "description": "The refusal's own fields."},
            },
            "required": ["code", "data"],
        }
    },
    "required": ["refused"],
}


def asyncapi(server: str = "localhost:4222") -> dict[str, Any]:
    """Give the AsyncAPI document; `server` is the broker's host and port."""
    messages = [m for _, m in sorted(catalog.MESSAGES.items()) if m.contract.public]
    schemas = parts(messages)
    owners = sorted({message.contract.owner for message in messages})
    return {
        "asyncapi": SPEC_VERSION,
        "id": "urn:tracseq",
        "info": {
            "title": "TracSeq",
            "version": API_VERSION,
            "description": "Everything that travels between the services of a sequencing "
            "laboratory, and between its bench and them.",
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": owner} for owner in owners],
        },
        "defaultContentType": envelope.CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": server,
                "protocol": "nats",
                "description": "NATS with JetStream; durable messages lie in its streams.",
            }
        },
        "channels": dict(_channels(messages)),
        "operations": dict(_operations(messages)),
        "components": {
            "messages": dict(_messages(messages, schemas.answers)),
            "schemas": {**schemas.definitions, "CloudEventHeaders": HEADERS, "Refused": REFUSED},
        },
    }


def _channels(messages: Iterable[type[Message]]) -> Iterable[tuple[str, Schema]]:
    for message in messages:
        contract = message.contract
        channel: Schema = {
            "address": subjects.of(contract, site=SITE_PARAMETER),
            "title": f"{VERBS[contract.kind]}: {contract.type}",
            "messages": {contract.type: _ref("components", "messages", contract.type)},
            "servers": [_ref("servers", "broker")],
            "tags": [{"name": contract.owner}],
            "bindings": {"nats": {}},
        }
        if contract.kind is Kind.LAB:
            site = "Where it happened; a bench's leaf node has a site of its own."
            channel["parameters"] = {"site": {"description": site, "default": "main"}}
        if contract.kind in STREAMS:
            channel["x-nats-stream"] = STREAMS[contract.kind]
        yield contract.type, channel
        if issubclass(message, Command | Query):
            # Null: where an answer goes is decided by whoever asks.
            name = _answer(contract)
            ref = _ref("components", "messages", name)
            yield name, {"address": None, "messages": {name: ref}}


def _operations(messages: Iterable[type[Message]]) -> Iterable[tuple[str, Schema]]:
    for message in messages:
        contract = message.contract
        sends = contract.kind is Kind.EVENT
        service = BENCH_READER if contract.kind is Kind.LAB else contract.owner
        operation: Schema = {
            "action": "send" if sends else "receive",
            "channel": _ref("channels", contract.type),
            "title": f"{service} {'announces' if sends else 'takes'} {contract.type}",
            "messages": [_ref("channels", contract.type, "messages", contract.type)],
            "tags": [{"name": service}],
        }
        if contract.kind is Kind.COMMAND:
            operation["x-nats-consumer"] = subjects.commands_consumer(service)
        if contract.kind is Kind.QUERY:
            operation["bindings"] = {"nats": {"queue": service, "bindingVersion": "0.1.0"}}
        if contract.needs is not None:
            operation["x-permission"] = contract.needs
        if issubclass(message, Command | Query):
            operation["reply"] = _reply(contract)
        yield f"{service}.{operation['action']}.{contract.type}", operation


def _reply(contract: Contract) -> Schema:
    name = _answer(contract)
    reply: Schema = {
        "channel": _ref("channels", name),
        "messages": [_ref("channels", name, "messages", name)],
    }
    if contract.kind is Kind.COMMAND:
        reply["address"] = {
            "location": f"$message.header#/{envelope.REPLY}",
            "description": "Also recorded for a day under the command's id.",
        }
    return reply


def _messages(
    messages: Iterable[type[Message]], answers: dict[str, Schema]
) -> Iterable[tuple[str, Schema]]:
    for message in messages:
        contract = message.contract
        yield contract.type, _message(message)
        if contract.type in answers:
            done: Schema = {
                "type": "object",
                "properties": {"result": answers[contract.type]},
                "required": ["result"],
            }
            yield (
                _answer(contract),
                {
                    "name": _answer(contract),
                    "title": f"Answer to {contract.type}",
                    "contentType": envelope.CONTENT_TYPE,
                    "payload": {"oneOf": [done, _ref("components", "schemas", "Refused")]},
                },
            )


def _message(message: type[Message]) -> Schema:
    contract = message.contract
    summary, _, description = (message.__doc__ or "").strip().partition("\n")
    shown: Schema = {
        "name": contract.type,
        "title": message.__name__,
        "summary": summary,
        "contentType": envelope.CONTENT_TYPE,
        "headers": {
            "type": "object",
            "allOf": [_ref("components", "schemas", "CloudEventHeaders")],
            "properties": {
                "ce-type": {"const": contract.type},
                "ce-dataschema": {"const": contract.schema_urn},
            },
        },
        "payload": _ref("components", "schemas", message.__name__),
        "examples": [{"name": "example", "payload": example(message).model_dump(mode="json")}],
        "tags": [{"name": contract.owner}],
    }
    if description.strip():
        shown["description"] = description.strip()
    return shown


def _answer(contract: Contract) -> str:
    return f"{contract.type}.answer"


def _ref(*path: str) -> Schema:
    return {"$ref": "#/" + "/".join(path)}
