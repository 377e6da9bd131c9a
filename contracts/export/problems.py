"""What can be refused, as OpenAPI responses: problem details by status, an example per code."""

from typing import Any

from contracts import catalog
from contracts.errors import Problem, Refusal
from contracts.export.examples import example
from contracts.export.schemas import COMPONENTS, Schema

PROBLEM_JSON = "application/problem+json"
GENERAL = ("request", "service")
"""First parts of the codes that any operation may answer with."""
ONLY_COMMANDS = frozenset({409, 413})
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"

RETRY_AFTER: Schema = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 0},
}
OTHER: Schema = {
    "description": "Any other problem.",
    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def problem_responses(owner: str, *, changes: bool, follows: bool) -> dict[str, Schema]:
    """Give the responses by status of an operation that a service owns.

    Args:
        owner: the service.
        changes: it is a command.
        follows: it may answer with the end of a process, and so with anybody's refusal.
    """
    by_status: dict[int, list[type[Refusal]]] = {}
    for code, refusal in sorted(catalog.REFUSALS.items()):
        concerns = follows or code.partition(".")[0] in {*GENERAL, owner}
        if concerns and (changes or refusal.spec.status not in ONLY_COMMANDS):
            by_status.setdefault(refusal.spec.status, []).append(refusal)
    shown = {str(status): _response(refusals) for status, refusals in sorted(by_status.items())}
    return {**shown, "default": OTHER}


def _response(refusals: list[type[Refusal]]) -> Schema:
    codes = [refusal.spec.code for refusal in refusals]
    response: Schema = {
        "description": " ".join(_title(refusal) + "." for refusal in refusals),
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }
    if any("retry_after_seconds" in refusal.model_fields for refusal in refusals):
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return response


def problem_examples() -> dict[str, Schema]:
    """Give an example of every refusal as problem details, by code."""
    return {
        code: {
            "summary": _title(refusal),
            "value": example(refusal).to_problem(TRACE_ID).model_dump(mode="json"),
        }
        for code, refusal in sorted(catalog.REFUSALS.items())
    }


def problem_schemas() -> dict[str, Schema]:
    """Give the schema of problem details and of what it is made of."""
    schema: dict[str, Any] = Problem.model_json_schema(
        ref_template=COMPONENTS, mode="serialization"
    )
    return {**schema.pop("$defs", {}), "Problem": schema}


def _title(refusal: type[Refusal]) -> str:
    return (refusal.__doc__ or "").strip().partition("\n")[0].rstrip(".")
