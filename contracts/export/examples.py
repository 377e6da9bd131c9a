"""One example of every message, refusal and answer, worked out from its own schema.

There is no chance in it: the same class always gives the same example, so examples serve as
documentation and as the golden wire files. A text with a pattern needs an example stated in its
type; it is never guessed.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel, TypeAdapter

from contracts.types import derive_id

ModelT = TypeVar("ModelT", bound=BaseModel)

FIRST_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
"""The id of every example itself; ids within it derive from their fields' names."""
TIMES = {
    "date-time": "2026-03-14T09:26:53.589793Z",
    "date": "2026-03-14",
}


class NoExampleError(TypeError):
    """A field's type does not say enough to make an example; the text says what to add."""


def example(model: type[ModelT]) -> ModelT:
    """Make the example of a message, refusal or view, every optional field filled.

    Raises:
        NoExampleError: a field has a pattern and states no example.
        pydantic.ValidationError: an example that is stated does not fit.
    """
    schema = model.model_json_schema()
    return model.model_validate(_Maker(schema.get("$defs", {})).make(schema, model.__name__))


def answer_example(kind: Any) -> Any:  # noqa: ANN401 - any type may be an answer
    """Make the example of an answer as JSON; of a union the first, of a list one item.

    Raises:
        NoExampleError, pydantic.ValidationError: as above.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = adapter.json_schema()
    made = _Maker(schema.get("$defs", {})).make(schema, "answer")
    return adapter.dump_python(adapter.validate_python(made), mode="json")


class _Maker:
    """Makes values that fit a schema and its definitions."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions

    def make(self, schema: dict[str, Any], name: str) -> object:
        """Make a value for a schema, which stands under a name."""
        schema = self._resolved(schema)
        stated: list[object] = schema.get("examples") or schema.get("enum") or []
        if "const" in schema or stated:
            return schema.get("const", next(iter(stated), None))
        makers: dict[str, Callable[[], object]] = {
            "object": lambda: self._object(schema),
            "array": lambda: [self.make(schema["items"], name.removesuffix("s"))],
            "string": lambda: self._text(schema, name),
            "integer": lambda: max(1, int(schema.get("minimum", 1))),
            "number": lambda: 1.5,
            "boolean": lambda: True,
        }
        maker = makers.get(schema.get("type", ""))
        return name if maker is None else maker()

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow references, and of several possibilities take the first that is something."""
        while True:
            if "$ref" in schema:
                schema = self._definitions[schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema and "examples" not in schema:
                schema = next(s for s in schema["anyOf"] if s.get("type") != "null")
            else:
                return schema

    def _object(self, schema: dict[str, Any]) -> dict[str, object]:
        if "properties" in schema:
            return {name: self.make(part, name) for name, part in schema["properties"].items()}
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            names = cast("dict[str, Any]", schema.get("propertyNames", {}))
            key = str(self.make({"type": "string", **names}, "key"))
            return {key: self.make(cast("dict[str, Any]", values), "value")}
        return {"key": "value"} if values else {}

    @staticmethod
    def _text(schema: dict[str, Any], name: str) -> str:
        if schema.get("format") == "uuid":
            return str(derive_id(FIRST_ID, name))
        if schema.get("format") in TIMES:
            return TIMES[schema["format"]]
        if "pattern" in schema or "format" in schema:
            raise NoExampleError(
                f"{name} is a text of a certain form and states no example: "
                "add Field(examples=[...]) to its type"
            )
        return name.ljust(int(schema.get("minLength", 0)), "x")
