"""How a decision makes its many small values: events, and states that differ in some fields.

Nothing is checked here. What the engine writes down comes from a definition that was checked, from
a state that it made itself, or from an input that its contract checked; checking all of it again
took most of the time of a decision. What people write (reasons, names) is not made here: contracts
trim and bound it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from contracts.message import Event

EventT = TypeVar("EventT", bound=Event)
TupleT = TypeVar("TupleT", bound=tuple[Any, ...])

_new = object.__new__
# Attributes of a frozen model can be set past its guard alone, and this is how pydantic does it.
_set_dict = BaseModel.__dict__["__dict__"].__set__
_set_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private = BaseModel.__dict__["__pydantic_private__"].__set__


def unchecked(kind: type[EventT]) -> Callable[..., EventT]:
    """Give what makes events of one kind from values of the very types that its fields have.

    Every field without a default must be named. `model_construct` does the same, several times
    slower, as it looks at each field.
    """
    fields = kind.model_fields
    blank = {name: None if one.is_required() else one.default for name, one in fields.items()}
    names, count = set(fields), len(fields)

    def make(**values: Any) -> EventT:  # noqa: ANN401 - whatever the fields hold
        event = _new(kind)
        _set_dict(event, values if len(values) == count else {**blank, **values})
        _set_fields_set(event, names)
        _set_extra(event, None)
        _set_private(event, None)
        return event

    return make


def replacing(kind: type[TupleT]) -> Callable[..., TupleT]:
    """Give what copies a named tuple with some fields changed: its `_replace`, in half the time."""
    fields: tuple[str, ...] = getattr(kind, "_fields")  # noqa: B009 - no type says that it is there
    places = {name: place for place, name in enumerate(fields)}

    def replace(before: TupleT, **changes: Any) -> TupleT:  # noqa: ANN401 - whatever the fields hold
        values = list(before)
        for name, value in changes.items():
            values[places[name]] = value
        return tuple.__new__(kind, values)

    return replace
