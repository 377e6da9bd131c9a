"""What the fields of a contract hold, and whether a value of one fits into another.

Only shapes are compared: that a barcode is longer than a limit is for the participant to refuse.
"""

from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.message import Command, Message, result_of


def fields_of(model: object) -> Mapping[str, FieldInfo]:
    """Give the fields of a model class; nothing for any other type."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model.model_fields
    return {}


def answer_fields(command: type[Command[Any]]) -> Mapping[str, FieldInfo]:
    """Give the fields of a command's answer; nothing where the command states no model."""
    try:
        return fields_of(result_of(command))
    except TypeError:
        return {}


def type_at(fields: Mapping[str, FieldInfo], path: Sequence[str]) -> Any:  # noqa: ANN401 - a type
    """Give the type that a path leads to.

    Raises:
        KeyError: there is no such field; the key is the part of the path that leads nowhere.
    """
    found: Any = None
    for name in path:
        if name not in fields:
            raise KeyError(name)
        found = fields[name].annotation
        fields = fields_of(found)
    return found


def is_required(message: type[Message], name: str) -> bool:
    """Say whether the field has no default."""
    return message.model_fields[name].is_required()


def fits(source: object, target: object) -> bool:
    """Say whether every value of one type has the shape that the other wants."""
    source, target = _plain(source), _plain(target)
    if target is Any or source == target:
        return True
    sources = _members(source)
    if len(sources) > 1:
        return all(fits(one, target) for one in sources)
    targets = _members(target)
    if len(targets) > 1:
        return any(fits(source, one) for one in targets)
    if get_origin(source) is not None and get_origin(source) is get_origin(target):
        pairs = zip(get_args(source), get_args(target), strict=False)
        return all(fits(one, other) for one, other in pairs)
    return isinstance(source, type) and isinstance(target, type) and issubclass(source, target)


def entry_type(target: object) -> object:
    """Give the type of the values of a mapping; anything where it is none."""
    plain = _plain(target)
    if get_origin(plain) is dict:
        return cast("object", get_args(plain)[1])
    return Any


def _plain(annotation: Any) -> Any:  # noqa: ANN401 - a type
    # Constraints do not change the shape, and a NewType is its base with a name.
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            return annotation


def _members(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a type
    if get_origin(annotation) in {Union, UnionType}:
        return get_args(annotation)
    if get_origin(annotation) is Literal:
        return tuple({type(value) for value in get_args(annotation)})
    return (NoneType if annotation is None else annotation,)
