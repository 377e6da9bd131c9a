"""The contracts as OpenAPI 3.1: every command and query that has an HTTP binding.

What the document says is what the generic binding does; nothing is described by hand that a
contract already says. The few addresses that are no contract's stand in `contracts.export.fixed`.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Any, cast

from contracts import catalog
from contracts.export import fixed
from contracts.export.examples import answer_example, example
from contracts.export.problems import problem_examples, problem_responses, problem_schemas
from contracts.export.schemas import DIALECT, Schema, parts
from contracts.message import Command, Http, Query, result_of

SPEC_VERSION = "3.1.0"
API_VERSION = "1.0.0"
PREFIX = "/api/v1"
JSON = "application/json"
MULTIPART = "multipart/form-data"

AnyMessage = Command[Any] | Query[Any]

FILE_REF = {"$ref": "#/components/schemas/FileRef"}
FILE_IN_JSON: Schema = {
    "oneOf": [{"$ref": "#/components/schemas/InlineFile"}, FILE_REF],
    "description": "The file itself, or a reference to one that is stored already.",
}
FILE_PART: Schema = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
    "description": "The file, as a part with a filename.",
}
DESCRIPTIONS = {
    "config": "What is set where, what is in force, what was, and what waits for consent.",
    "event": "What happened, in order, and what the bench tells.",
    "notification": "Who was told what.",
    "operation": "Commands that were stored and are not answered yet.",
    "sample": "Samples, from their registration on.",
    "storage": "Freezers, racks, boxes and positions.",
    "template": "Manifests: what they may hold, and what is wrong with one.",
    "transaction": "Submissions, and the processes that carry them across services.",
}


def openapi(server_url: str = "/") -> dict[str, Any]:
    """Give the OpenAPI document; `server_url` is where the paths stand."""
    bound = _bound()
    found = parts(bound)
    own = {message.__name__ for message in bound}
    definitions = found.definitions
    paths: dict[str, dict[str, Any]] = {}
    for message in bound:
        for number, path in enumerate(_http(message).paths(PREFIX), 1):
            shown = _operation(message, path, definitions[message.__name__], found.answers)
            if number > 1:
                shown["operationId"] = f"{message.contract.type}.{number}"
            paths.setdefault(path, {})[_http(message).method.lower()] = shown
    tags = sorted({"operation", *(message.contract.owner for message in bound)})
    return {
        "openapi": SPEC_VERSION,
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "TracSeq",
            "version": API_VERSION,
            "summary": "A sequencing laboratory over HTTP.",
            "description": "Lists are pages; errors are problem details (RFC 9457) whose `code` "
            "is stable; a command that takes long answers 202 and goes on.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": tag, "description": DESCRIPTIONS.get(tag, tag)} for tag in tags],
        "paths": {**dict(sorted(paths.items())), **fixed.fixed_paths(PREFIX)},
        "components": {
            "schemas": {
                **{name: schema for name, schema in definitions.items() if name not in own},
                **problem_schemas(),
                **fixed.SCHEMAS,
            },
            "parameters": fixed.PARAMETERS,
            "headers": fixed.HEADERS,
            "examples": problem_examples(),
        },
    }


def _bound() -> list[type[AnyMessage]]:
    asked: dict[str, type[AnyMessage]] = {**catalog.COMMANDS, **catalog.QUERIES}
    return [message for _, message in sorted(asked.items()) if message.contract.http is not None]


def _http(message: type[AnyMessage]) -> Http:
    return cast("Http", message.contract.http)


def _operation(
    message: type[AnyMessage], path: str, definition: Schema, answers: Mapping[str, Schema]
) -> Schema:
    contract, http = message.contract, _http(message)
    changes = issubclass(message, Command)
    in_path = [name for _, name, _, _ in Formatter().parse(path) if name]
    fields: dict[str, Schema] = definition.get("properties", {})
    required: list[str] = definition.get("required", [])
    others = {name: schema for name, schema in fields.items() if name not in in_path}
    summary, _, description = (message.__doc__ or "").strip().partition("\n")

    parameters = [_parameter("path", name, fields[name], required=True) for name in in_path]
    operation: Schema = {
        "operationId": contract.type,
        "summary": summary,
        "tags": [contract.owner],
        "parameters": parameters,
        "x-permission": contract.needs,
    }
    if description.strip():
        operation["description"] = description.strip()
    if http.body is not None:
        operation["requestBody"] = _whole_body(message, http.body, others.pop(http.body))
    if http.method in {"GET", "DELETE"} or http.body is not None:
        parameters += [
            _parameter("query", name, schema, required=name in required)
            for name, schema in others.items()
        ]
    elif others:
        operation["requestBody"] = _body(message, others, required)
    parameters += [
        {"$ref": f"#/components/parameters/{name}"} for name in _headers(http, changes=changes)
    ]
    operation["responses"] = {
        **_answers(message, answers),
        **problem_responses(contract.owner, changes=changes, follows=http.then is not None),
    }
    return operation


def _headers(http: Http, *, changes: bool) -> list[str]:
    names = ["Idempotency-Key", "Prefer"] if changes else []
    names += ["If-Match"] if http.if_match is not None else []
    names += ["If-None-Match"] if http.known is not None else []
    return [*names, "X-Actor", "X-Correlation-Id"]


def _parameter(where: str, name: str, schema: Schema, *, required: bool) -> Schema:
    shown = {"name": name, "in": where, "required": required, "schema": _without_null(schema)}
    if "description" in schema:
        shown["description"] = schema["description"]
    return shown


def _without_null(schema: Schema) -> Schema:
    """Leave out the null that stands for a value left out: in a URL or a form there is none."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    if "anyOf" not in schema or len(kinds) == len(schema["anyOf"]):
        return schema
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}


def _body(message: type[AnyMessage], fields: dict[str, Schema], required: list[str]) -> Schema:
    files = [name for name, schema in fields.items() if schema == FILE_REF]

    def form_of(properties: dict[str, Schema]) -> Schema:
        needed = [name for name in properties if name in required]
        return {
            "type": "object",
            "properties": properties,
            "required": needed,
            "additionalProperties": False,
        }

    in_json = {name: FILE_IN_JSON if name in files else schema for name, schema in fields.items()}
    shown = example(message).model_dump(mode="json", include=set(fields))
    content: Schema = {JSON: {"schema": form_of(in_json), "example": shown}}
    if files:
        in_form = {
            name: FILE_PART if name in files else _without_null(schema)
            for name, schema in fields.items()
        }
        content = {MULTIPART: {"schema": form_of(in_form)}, **content}
    return {"required": any(name in required for name in fields), "content": content}


def _whole_body(message: type[AnyMessage], name: str, schema: Schema) -> Schema:
    shown = example(message).model_dump(mode="json", include={name})[name]
    return {"required": True, "content": {JSON: {"schema": schema, "example": shown}}}


def _answers(message: type[AnyMessage], answers: Mapping[str, Schema]) -> dict[str, Schema]:
    """Give the responses of success: the answer, and of commands that a command may take long."""
    http = _http(message)
    done: Schema = {
        "description": "Done." if issubclass(message, Command) else "The answer.",
        "content": {JSON: {"schema": answers[message.contract.type]}},
    }
    done["content"][JSON]["example"] = answer_example(result_of(message))
    tag = {"ETag": {"$ref": "#/components/headers/ETag"}} if http.etag is not None else {}
    if not issubclass(message, Command):
        done |= {"headers": tag} if tag else {}
        known = {"304": fixed.NOT_MODIFIED} if http.known is not None else {}
        return {str(http.status): done, **known}

    preferred = {"Preference-Applied": {"$ref": "#/components/headers/Preference-Applied"}}
    done["headers"] = {**preferred, **tag}
    if http.location is not None:
        done["headers"]["Location"] = {"$ref": "#/components/headers/Location"}
    if http.then is None:
        waits = _waiting(done) if http.accepted is not None else fixed.PENDING
        return {str(http.status): done, "202": waits}
    # What was begun goes on: 200 tells its end to whoever waited, 202 how far it is.
    view = answers[http.then.contract.type]
    ended: Schema = {
        **done,
        "description": "With `Prefer: wait`: it ended well.",
        "content": {JSON: {"schema": view}},
    }
    stored = {"$ref": "#/components/schemas/Operation"}
    begun = {
        "anyOf": [answers[message.contract.type], view, stored],
        "description": "What was begun; with `Prefer: wait`, as far as it is.",
    }
    done["content"] = {JSON: {"schema": begun}}
    return {"200": ended, str(http.status): {**done, "description": "It was begun and goes on."}}


def _waiting(done: Schema) -> Schema:
    """Give the response of what is not done yet: somebody must consent, or it takes longer."""
    stored = {"$ref": "#/components/schemas/Operation"}
    return {
        "description": "Nothing has changed yet: somebody else must consent, or the command is "
        "stored and its outcome will be at `Location`.",
        "headers": {**done["headers"], **fixed.PENDING["headers"]},
        "content": {JSON: {"schema": {"anyOf": [done["content"][JSON]["schema"], stored]}}},
    }
