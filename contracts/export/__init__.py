"""The contracts in the words of others: AsyncAPI 3, OpenAPI 3.1, JSON Schema 2020-12.

Everything is worked out from the catalog, the same every time, so that a difference between two
exports is a difference between two contracts. Nothing is written to disk here.
"""

import json

from contracts.export.asyncapi import asyncapi
from contracts.export.openapi import openapi
from contracts.export.schemas import schemas

__all__ = ["asyncapi", "files", "openapi", "schemas"]


def files() -> dict[str, str]:
    """Give every exported file: path below the output directory -> its text."""
    documents = {"asyncapi.json": asyncapi(), "openapi.json": openapi()}
    for name, schema in schemas().items():
        documents[f"schemas/{name}.json"] = schema
    return {
        path: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for path, document in sorted(documents.items())
    }
