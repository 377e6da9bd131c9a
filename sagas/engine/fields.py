"""What the fields of a contract hold, and whether a value of one fits into another.

Only shapes are compared: that a barcode is longer than a limit is for the participant to refuse.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.message import Command, Message, result_of

_WRITTEN_AS_TEXT: Final = (UUID, Decimal, date, datetime)
"""What messages carry as text: it can be read as such."""


def fields_of(model: object) -> Mapping[str, FieldInfo]:
    """Give the fields of a model class; nothing for any other type."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        return model.model_fields
    return {}


def members_of(annotation: object) -> Mapping[str, FieldInfo]:
    """Give the fields of the one model that a type may be; nothing where it is none, or several."""
    models = [one for one in _members(plain(annotation)) if fields_of(plain(one))]
    return fields_of(plain(models[0])) if len(models) == 1 else {}


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
    source, target = plain(source), plain(target)
    if Any in (source, target) or source == target:
        # What is known only when it comes is taken as it comes; the participant refuses it then.
        return True
    sources, targets = _members(source), _members(target)
    if len(sources) > 1:
        return all(fits(one, target) for one in sources)
    if len(targets) > 1:
        return any(fits(source, one) for one in targets)
    if get_origin(source) is not None and get_origin(source) is get_origin(target):
        pairs = zip(get_args(source), get_args(target), strict=False)
        return all(fits(one, other) for one, other in pairs)
    return _is_kind_of(next(iter(sources)), next(iter(targets)))


def _is_kind_of(source: object, target: object) -> bool:
    if not (isinstance(source, type) and isinstance(target, type)):
        return False
    return issubclass(source, target) or (target is str and issubclass(source, _WRITTEN_AS_TEXT))


def entry_type(target: object) -> object:
    """Give the type of the values of a mapping; anything where it is none."""
    shape = plain(target)
    if get_origin(shape) is dict:
        return cast("object", get_args(shape)[1])
    return Any


def plain(annotation: Any) -> Any:  # noqa: ANN401 - a type
    """Give a type's shape: constraints do not change it, and a NewType is its base with a name."""
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
