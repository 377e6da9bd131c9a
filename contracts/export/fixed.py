"""What in OpenAPI belongs to no contract: common headers, a command's outcome, the live stream."""

from typing import Any

from contracts.export.problems import RETRY_AFTER, problem_responses
from contracts.export.schemas import Schema

JSON = "application/json"
EVENT_STREAM = "text/event-stream"

PARAMETERS: dict[str, Schema] = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key by the same caller on the same operation takes effect once; "
        "repeating it within a day gives the first answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N` waits up to N seconds (at most 60) for the end, "
        "`respond-async` does not wait. RFC 7240.",
        "schema": {"type": "string"},
        "example": "wait=30",
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The version that was seen, in quotes: the `ETag` of an answer. Where it "
        "is another by now, nothing is changed. `*` takes any.",
        "schema": {"type": "string"},
        "example": '"7"',
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The version that the caller has, in quotes: 304 where it is still that.",
        "schema": {"type": "string"},
        "example": '"7"',
    },
    "X-Actor": {
        "name": "X-Actor",
        "in": "header",
        "description": "Who asks, until callers are authenticated.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "X-Correlation-Id": {
        "name": "X-Correlation-Id",
        "in": "header",
        "description": "Ties this request to others; a new one is made where it is left out.",
        "schema": {"type": "string", "maxLength": 128},
    },
}

HEADERS: dict[str, Schema] = {
    "ETag": {
        "description": "The version, in quotes: for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string", "examples": ['"7"']},
    },
    "Retry-After": RETRY_AFTER,
    "Location": {
        "description": "Where what was made or begun can be looked at.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {
        "description": "Which preference was followed.",
        "schema": {"type": "string"},
    },
}

SCHEMAS: dict[str, Schema] = {
    "InlineFile": {
        "description": "A file within a JSON body; exactly one of text, base64 and json.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 255},
            "media_type": {"type": "string", "maxLength": 255},
            "text": {"type": "string"},
            "base64": {"type": "string", "contentEncoding": "base64"},
            "json": {"description": "Any JSON; it is the file's content."},
        },
        "required": ["name"],
        "oneOf": [{"required": ["text"]}, {"required": ["base64"]}, {"required": ["json"]}],
        "additionalProperties": False,
    },
    "Operation": {
        "description": "A command that was stored; nothing is lost, and its outcome comes.",
        "type": "object",
        "properties": {
            "operation_id": {"type": "string", "format": "uuid"},
            "status": {"type": "string", "enum": ["pending", "done"]},
            "result": {"description": "The command's answer, once it is done."},
        },
        "required": ["operation_id", "status"],
    },
}

PENDING: Schema = {
    "description": "The command is stored; its outcome will be at `Location`.",
    "headers": {
        "Location": {"$ref": "#/components/headers/Location"},
        "Retry-After": {"$ref": "#/components/headers/Retry-After"},
    },
    "content": {JSON: {"schema": {"$ref": "#/components/schemas/Operation"}}},
}

NOT_MODIFIED: Schema = {
    "description": "The caller has this version already.",
    "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
}


def fixed_paths(prefix: str) -> dict[str, Any]:
    """Give the paths that are no contract's, below a prefix."""
    return {
        f"{prefix}/operations/{{operation_id}}": {"get": _operation()},
        f"{prefix}/events/stream": {"get": _stream()},
    }


def _operation() -> Schema:
    return {
        "operationId": "http.operation",
        "summary": "Show the outcome of a command that was stored.",
        "description": "A refused command answers with its problem.",
        "tags": ["operation"],
        "parameters": [
            {
                "name": "operation_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
            },
            {"$ref": "#/components/parameters/X-Correlation-Id"},
        ],
        "responses": {
            "200": {
                "description": "It is done.",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Operation"}}},
            },
            "202": PENDING,
            **problem_responses("operation", changes=True, follows=True),
        },
    }


def _stream() -> Schema:
    def query(name: str, description: str) -> Schema:
        return {
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": "string", "maxLength": 255},
        }

    cursor = {"type": "string", "pattern": "^e[0-9]{1,18}-l[0-9]{1,18}$"}
    return {
        "operationId": "event.stream",
        "summary": "Follow what happens, live, as Server-Sent Events.",
        "description": "Each event's `data` is a TimelineEntry and its `id` a cursor; whoever "
        "comes back with the last one misses nothing and sees nothing twice.",
        "tags": ["event"],
        "x-permission": "events:read",
        "parameters": [
            query("type", "Only this type; with a dot at its end, every type that begins so."),
            query("correlation", "Only what was set off by this."),
            {
                "name": "last_event_id",
                "in": "query",
                "description": "As `Last-Event-ID`, for clients that cannot set headers.",
                "schema": cursor,
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Go on after this event; without it, from now on.",
                "schema": cursor,
            },
        ],
        "responses": {
            "200": {
                "description": "Events for as long as the client listens; the last one, `closed`, "
                "says why it ended.",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            },
            **problem_responses("event", changes=False, follows=False),
        },
    }
