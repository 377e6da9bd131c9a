"""Every message and refusal of the laboratory, found once: type -> class, code -> class.

A contract module that is not listed here does not exist. Exports are in `contracts/export/`.
"""

import json
from types import ModuleType
from typing import Any, TypeVar

from contracts import (
    breaker,
    config,
    config_queries,
    config_refusals,
    config_release,
    delivery,
    errors,
    event,
    lab,
    lab_processes,
    library,
    notification,
    qc,
    saga_archive,
    saga_events,
    saga_orders,
    saga_tools,
    sample,
    sequencing,
    storage,
    template,
    transaction,
)
from contracts.errors import Refusal
from contracts.message import Command, Event, LabEvent, Message, Query
from contracts.versions import upgrade

T = TypeVar("T")

AHEAD: tuple[ModuleType, ...] = (library, sequencing, qc, delivery)
"""Contracts of services that do not stand yet: sagas are written and tested against them, nothing
is provisioned for them, and the transaction service begins no saga that asks one of them."""

MODULES: tuple[ModuleType, ...] = (
    sample,
    template,
    storage,
    notification,
    event,
    transaction,
    saga_events,
    saga_orders,
    saga_tools,
    saga_archive,
    lab_processes,
    config,
    config_queries,
    config_release,
    config_refusals,
    breaker,
    *AHEAD,
    lab,
)


class UnknownTypeError(ValueError):
    """No contract has this type."""


def _declared(modules: tuple[ModuleType, ...], base: type[T], mark: str) -> list[type[T]]:
    # The mark tells contracts from generic shells such as Command[SampleView], which pydantic also
    # leaves in the module: they state nothing about themselves.
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and mark in vars(value)
        and value.__module__ == module.__name__
    ]


MESSAGES: dict[str, type[Message]] = {
    m.contract.type: m for m in _declared(MODULES, Message, "contract")
}
COMMANDS: dict[str, type[Command[Any]]] = {
    t: m for t, m in MESSAGES.items() if issubclass(m, Command)
}
QUERIES: dict[str, type[Query[Any]]] = {t: m for t, m in MESSAGES.items() if issubclass(m, Query)}
EVENTS: dict[str, type[Event]] = {
    t: m for t, m in MESSAGES.items() if issubclass(m, Event) and not issubclass(m, LabEvent)
}
LAB_EVENTS: dict[str, type[LabEvent]] = {
    t: m for t, m in MESSAGES.items() if issubclass(m, LabEvent)
}
REFUSALS: dict[str, type[Refusal]] = {
    r.spec.code: r for r in _declared((errors, *MODULES), Refusal, "spec")
}

OWNERS_AHEAD: frozenset[str] = frozenset(
    m.contract.owner for m in _declared(AHEAD, Message, "contract")
)
"""Owners of messages that no service takes yet."""

OWNERS_WITHOUT_LOG: frozenset[str] = frozenset({"breaker"})
"""Owners of events that are told by whoever sees them happen, and that nobody decides on."""


def message_class(message_type: str) -> type[Message]:
    """Find the class of a type.

    Raises:
        UnknownTypeError: no contract has this type.
    """
    try:
        return MESSAGES[message_type]
    except KeyError:
        raise UnknownTypeError(f"no contract has the type {message_type!r}") from None


def decode(message_type: str, version: int, body: bytes | str) -> Message:
    """Read a message of any version ever written as today's class.

    Raises:
        UnknownTypeError: no contract has this type.
        UnknownVersionError: no upcaster leads from that version to today's.
        pydantic.ValidationError: the body does not fit.
    """
    cls = message_class(message_type)
    if version == cls.contract.version:
        return cls.model_validate_json(body)
    return decode_data(message_type, version, json.loads(body))


def decode_data(message_type: str, version: int, data: dict[str, Any]) -> Message:
    """As `decode`, for a body that is parsed already (an event within a log entry)."""
    cls = message_class(message_type)
    upgraded = upgrade(message_type, data, version=version, to=cls.contract.version)
    return cls.model_validate(upgraded)


def encode_refusal(refusal: Refusal) -> dict[str, Any]:
    """Write a refusal so that `decode_refusal` reads it."""
    return {"code": refusal.spec.code, "data": refusal.model_dump(mode="json")}


def decode_refusal(document: dict[str, Any]) -> Refusal:
    """Read a refusal.

    Raises:
        UnknownTypeError: no refusal has this code.
    """
    cls = REFUSALS.get(document["code"])
    if cls is None:
        raise UnknownTypeError(f"no refusal has the code {document['code']!r}")
    return cls.model_validate(document["data"])
