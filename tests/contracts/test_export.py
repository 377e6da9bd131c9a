"""Exports: what third-party validators accept, and what the contracts really say."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from jsonschema import (  # type: ignore[import-untyped] # it carries no types
    Draft7Validator,
    Draft202012Validator,
)
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import StringConstraints

from contracts import catalog, subjects
from contracts.export import asyncapi, files, openapi, schemas
from contracts.export.examples import NoExampleError, answer_example, example
from contracts.message import Command, Event, Kind, Query, result_of
from contracts.types import Value

ASYNCAPI_SCHEMA = Path(__file__).parent / "asyncapi/asyncapi-3.0.0.schema.json"
ASKED: dict[str, type[Command[Any]] | type[Query[Any]]] = {**catalog.COMMANDS, **catalog.QUERIES}
BOUND = {type_: message for type_, message in ASKED.items() if message.contract.http is not None}
UNTYPED = {"transaction.export"}
"""Answers that are any JSON object."""


@cache
def http_document() -> dict[str, Any]:
    """Give the OpenAPI document; making it takes a while, and nobody changes this one."""
    return openapi()


@cache
def bus_document() -> dict[str, Any]:
    """Give the AsyncAPI document, as above."""
    return asyncapi()


def references(document: object) -> Iterator[str]:
    """Give every `$ref` in a document."""
    if isinstance(document, dict):
        for key, value in cast("dict[str, object]", document).items():
            if key == "$ref":
                yield str(value)
            else:
                yield from references(value)
    elif isinstance(document, list):
        for value in cast("list[object]", document):
            yield from references(value)


def at(document: Any, reference: str) -> Any:  # noqa: ANN401 - any part of a document
    """Follow a reference within its document."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_openapi_is_accepted_by_a_third_party_validator() -> None:
    """openapi-spec-validator finds nothing, examples and references included."""
    assert [str(error) for error in OpenAPIV31SpecValidator(openapi()).iter_errors()] == []


def test_asyncapi_is_accepted_by_the_official_schema() -> None:
    """The JSON Schema of the AsyncAPI Initiative finds nothing."""
    validator = Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(asyncapi())] == []


@pytest.mark.parametrize("make", [asyncapi, openapi])
def test_every_reference_leads_somewhere(make: Any) -> None:  # noqa: ANN401 - one of two functions
    """No `$ref` dangles, and no component is there that nothing refers to."""
    document = make()
    found = set(references(document))
    for reference in found:
        assert at(document, reference) is not None
    for kind, components in document["components"].items():
        unused = {name for name in components if f"#/components/{kind}/{name}" not in found}
        assert unused == set(), f"components/{kind}"


def test_the_asyncapi_check_would_find_a_mistake() -> None:
    """The official schema refuses an operation that neither sends nor receives."""
    document = asyncapi()
    next(iter(document["operations"].values()))["action"] = "shout"
    validator = Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8")))
    assert not validator.is_valid(document)


@pytest.mark.parametrize(("name", "schema"), sorted(schemas().items()))
def test_a_schema_is_valid_and_takes_its_example(name: str, schema: dict[str, Any]) -> None:
    """Each is JSON Schema 2020-12, named by its urn, and fits what is really sent."""
    Draft202012Validator.check_schema(schema)
    type_, _, version = name.rpartition(".v")
    message = catalog.MESSAGES[type_]
    assert schema["$id"] == message.contract.schema_urn == f"urn:tracseq:{type_}:{version}"
    body = json.loads(example(message).model_dump_json())
    errors = Draft202012Validator(schema).iter_errors(body)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("type_", sorted(set(ASKED) - UNTYPED))
def test_an_answer_fits_what_openapi_and_asyncapi_say_of_it(type_: str) -> None:
    """The example of each answer fits the schema of its answer message."""
    result = result_of(ASKED[type_])
    components = bus_document()["components"]
    reference = f"#/components/messages/{type_}.answer/payload"
    validator = Draft202012Validator({"$ref": reference, "components": components})
    body = {"result": answer_example(result)}
    assert [error.message for error in validator.iter_errors(body)] == []
    assert not validator.is_valid({"result": 7})


def test_every_message_that_travels_has_a_channel_with_its_subject() -> None:
    """Commands, queries, public events and lab events, each on its own subject, and no other."""
    channels = bus_document()["channels"]
    travelling = {t for t, m in catalog.MESSAGES.items() if m.contract.public}
    assert {name for name, c in channels.items() if c["address"] is not None} == travelling
    for type_ in travelling:
        contract = catalog.MESSAGES[type_].contract
        assert channels[type_]["address"] == subjects.of(contract, site="{site}")
        assert ("parameters" in channels[type_]) == (contract.kind is Kind.LAB)


def test_owners_take_commands_and_queries_and_send_events() -> None:
    """Every operation is its owner's; what is asked has a reply, and what is told has none."""
    operations = bus_document()["operations"]
    for name, operation in operations.items():
        service, action, type_ = name.split(".", 2)
        message = catalog.MESSAGES[type_]
        assert operation["action"] == action
        assert operation["channel"] == {"$ref": f"#/channels/{type_}"}
        assert ("reply" in operation) == issubclass(message, Command | Query)
        if message.message_kind is not Kind.LAB:
            assert service == message.contract.owner
            assert (action == "send") == issubclass(message, Event)
        queue = operation.get("bindings", {}).get("nats", {}).get("queue")
        assert queue == (service if issubclass(message, Query) else None)
    assert len(operations) == sum(m.contract.public for m in catalog.MESSAGES.values())


@pytest.mark.parametrize("type_", sorted(BOUND))
def test_every_http_binding_is_an_operation(type_: str) -> None:
    """Path, method, permission, tag and every field of the message are in OpenAPI, once."""
    message, document = BOUND[type_], http_document()
    contract, http = message.contract, message.contract.http
    assert http is not None
    for number, path in enumerate(http.paths("/api/v1"), 1):
        operation = document["paths"][path][http.method.lower()]
        assert operation["operationId"] == (type_ if number == 1 else f"{type_}.{number}")
        assert operation["tags"] == [contract.owner]
        assert operation["x-permission"] == contract.needs
        assert str(http.status) in operation["responses"]

        own = [p for p in operation["parameters"] if "name" in p]
        in_path = {p["name"] for p in own if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        bodies = [c["schema"] for c in operation.get("requestBody", {}).get("content", {}).values()]
        in_body: set[str] = set(bodies[0].get("properties", ())) if bodies else set()
        if http.body is not None:
            in_body = {http.body}
        in_query = {p["name"] for p in own if p["in"] == "query"}
        assert in_path | in_body | in_query == set(message.model_fields)
        assert len(in_path) + len(in_body) + len(in_query) == len(message.model_fields)
        assert http.body is not None or not in_body or not in_query


def test_no_two_operations_have_one_name() -> None:
    """An operation that stands at several addresses has a name for each."""
    names = [
        operation["operationId"]
        for path in http_document()["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("type_", sorted(BOUND))
def test_what_is_versioned_says_so(type_: str) -> None:
    """`If-Match`, `If-None-Match`, `ETag`, 304 and 202 stand where a binding names their field."""
    http = BOUND[type_].contract.http
    assert http is not None
    operation = http_document()["paths"][http.paths("/api/v1")[0]][http.method.lower()]
    names = {p["$ref"].rpartition("/")[2] for p in operation["parameters"] if "$ref" in p}
    assert ("If-Match" in names) == (http.if_match is not None)
    assert ("If-None-Match" in names) == (http.known is not None)
    assert ("304" in operation["responses"]) == (http.known is not None)
    done = operation["responses"][str(http.status)]
    assert ("ETag" in done.get("headers", {})) == (http.etag is not None)
    if http.accepted is not None:
        (waiting,) = operation["responses"]["202"]["content"].values()
        assert len(waiting["schema"]["anyOf"]) == 2


@pytest.mark.parametrize("type_", sorted(BOUND))
def test_headers_and_problems_fit_the_kind_of_operation(type_: str) -> None:
    """Commands take a key and a preference; everything says what it may refuse, with its codes."""
    document = http_document()
    http = BOUND[type_].contract.http
    assert http is not None
    operation = document["paths"][http.paths("/api/v1")[0]][http.method.lower()]
    names = {p["$ref"].rpartition("/")[2] for p in operation["parameters"] if "$ref" in p}
    changes = issubclass(BOUND[type_], Command)
    assert ({"Idempotency-Key", "Prefer"} <= names) == changes
    codes = {
        code
        for response in operation["responses"].values()
        for code in response.get("content", {})
        .get("application/problem+json", {})
        .get("examples", {})
    }
    owner = BOUND[type_].contract.owner
    own = {code for code in catalog.REFUSALS if code.startswith((f"{owner}.", "request."))}
    readable = {c for c in own if catalog.REFUSALS[c].spec.status not in {409, 413}}
    assert (own if changes else readable) <= codes
    assert "Retry-After" in operation["responses"]["503"]["headers"]
    if http.location:
        assert "Location" in operation["responses"][str(http.status)]["headers"]


def test_a_file_is_taken_as_a_part_of_a_form_or_within_json() -> None:
    """Where a message has a FileRef, HTTP takes the bytes themselves."""
    content = http_document()["paths"]["/api/v1/submissions"]["post"]["requestBody"]["content"]
    part = content["multipart/form-data"]["schema"]["properties"]["file"]
    assert (part["type"], part["format"]) == ("string", "binary")
    inline = content["application/json"]["schema"]["properties"]["file"]["oneOf"]
    assert {"$ref": "#/components/schemas/InlineFile"} in inline


def test_what_is_no_contracts_is_described_too() -> None:
    """A stored command's outcome and the live stream have their paths."""
    paths = openapi("https://lab.example")["paths"]
    assert set(paths["/api/v1/operations/{operation_id}"]["get"]["responses"]) >= {"200", "202"}
    stream = paths["/api/v1/events/stream"]["get"]
    assert "text/event-stream" in stream["responses"]["200"]["content"]
    assert "Last-Event-ID" in {p["name"] for p in stream["parameters"]}


def test_the_exported_files_are_the_documents_and_always_the_same() -> None:
    """Two exports are equal byte for byte, and hold both documents and every schema."""
    exported = files()
    assert exported == files()
    assert json.loads(exported["openapi.json"]) == openapi()
    assert json.loads(exported["asyncapi.json"]) == asyncapi()
    assert {p for p in exported if "/" in p} == {f"schemas/{name}.json" for name in schemas()}


def test_an_example_is_never_guessed() -> None:
    """A text of a certain form must state an example; the error says where."""

    class Plate(Value):
        """A part with a pattern and no example."""

        code: Annotated[str, StringConstraints(pattern="^P[0-9]+$")]

    with pytest.raises(NoExampleError, match=r"code is a text of a certain form.*examples"):
        example(Plate)
