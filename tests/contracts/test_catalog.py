"""The catalog: every contract is found, says what it must, and reads old versions."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import catalog, versions
from contracts.errors import NotFound, Refusal
from contracts.export.examples import example
from contracts.message import Command, Event, Message, Query, result_of
from contracts.sample import SampleRegistered, SampleWithdrawn
from contracts.versions import UnknownVersionError, upcasts

ASKED: dict[str, type[Command[Any]] | type[Query[Any]]] = {**catalog.COMMANDS, **catalog.QUERIES}
WITHDRAWN = "sample.withdrawn"
OLD = {"sample": "01890a5d-ac96-774b-bcce-b302099a8057", "barcode": "LAB-1"}
"""As a version before the present one might have been."""


@pytest.fixture
def no_upcasters_left_behind() -> Iterator[None]:
    """Take back what a test registers."""
    before = dict(versions.UPCASTERS)
    yield
    versions.UPCASTERS.clear()
    versions.UPCASTERS.update(before)


@pytest.mark.parametrize("type_", sorted(ASKED))
def test_what_is_asked_says_what_it_answers(type_: str) -> None:
    """Each command and query names its result, and what HTTP reaches needs a permission."""
    message = ASKED[type_]
    assert result_of(message) is not None
    contract = message.contract
    assert contract.http is None or contract.needs is not None
    if contract.needs is not None:
        assert contract.needs.count(":") == 1


@pytest.mark.parametrize("type_", sorted(catalog.MESSAGES))
def test_every_contract_has_a_docstring_and_its_owners_name(type_: str) -> None:
    """It is what AsyncAPI, OpenAPI and people show; facts are in the past tense elsewhere."""
    message = catalog.MESSAGES[type_]
    own = message.__dict__.get("__doc__")
    assert own
    assert own.strip().partition("\n")[0].endswith(".")
    assert type_ == f"{message.contract.owner}.{message.contract.verb}"
    assert message.contract.version >= 1


@pytest.mark.parametrize("code", sorted(catalog.REFUSALS))
def test_every_refusal_says_what_is_wrong_and_what_to_do(code: str) -> None:
    """A dotted code, an error status, a sentence that can be filled in, a title without a dot."""
    refusal = example(catalog.REFUSALS[code])
    assert refusal.spec.code == code
    assert 400 <= refusal.spec.status < 600
    assert code.count(".") == 1
    assert "{" not in refusal.detail
    assert refusal.detail.strip().endswith((".", "remedy"))
    problem = refusal.to_problem("t" * 32)
    assert (problem.code, problem.status, problem.trace_id) == (code, refusal.spec.status, "t" * 32)
    assert problem.title
    assert not problem.title.endswith(".")


def test_no_two_http_bindings_collide() -> None:
    """Method and path find one contract, wherever it is bound and whatever its parts are called."""
    bound = [
        (http.method, re.sub(r"\{\w+\}", "{}", path))
        for m in catalog.MESSAGES.values()
        if (http := m.contract.http) is not None
        for path in http.paths("/api/v1")
    ]
    assert len(bound) == len(set(bound))


def test_only_commands_and_queries_are_reached_over_http() -> None:
    """Facts cannot be posted as such: somebody has to decide on them."""
    for message in catalog.MESSAGES.values():
        assert message.contract.http is None or issubclass(message, Command | Query)


@pytest.mark.parametrize("type_", sorted(catalog.MESSAGES))
def test_a_message_survives_the_wire(type_: str) -> None:
    """Decoding what was encoded gives an equal message."""
    message = example(catalog.MESSAGES[type_])
    body = message.model_dump_json().encode()
    assert catalog.decode(type_, message.contract.version, body) == message


@pytest.mark.parametrize("code", sorted(catalog.REFUSALS))
def test_a_refusal_survives_the_wire(code: str) -> None:
    """Decoding what was encoded gives an equal refusal."""
    refusal: Refusal = example(catalog.REFUSALS[code])
    assert catalog.decode_refusal(catalog.encode_refusal(refusal)) == refusal


def test_a_message_refuses_fields_it_does_not_know_and_an_event_ignores_them() -> None:
    """A command with a typing mistake is refused; an event of a later code is still read."""
    event = example(SampleWithdrawn)
    data = {**event.model_dump(mode="json"), "added_later": 1}
    assert catalog.decode_data(WITHDRAWN, 1, data) == event
    with pytest.raises(ValidationError, match="added_later"):
        NotFound.model_validate({"what": "x", "key": "y", "added_later": 1})
    with pytest.raises(ValidationError, match="detials"):
        catalog.decode("sample.register", 1, b'{"detials": {}}')


def test_a_message_cannot_be_changed() -> None:
    """What was said stays said."""
    event = example(SampleRegistered)
    with pytest.raises(ValidationError, match="frozen"):
        event.status = event.status  # type: ignore[misc] # the point of the test


def test_an_unknown_type_is_named() -> None:
    """The error says which type or code nobody knows."""
    with pytest.raises(catalog.UnknownTypeError, match=r"'sample\.teleported'"):
        catalog.decode("sample.teleported", 1, b"{}")
    with pytest.raises(catalog.UnknownTypeError, match=r"'sample\.cursed'"):
        catalog.decode_refusal({"code": "sample.cursed", "data": {}})


@pytest.mark.usefixtures("no_upcasters_left_behind")
def test_an_old_version_is_carried_up_step_by_step() -> None:
    """Version -1 becomes 0 becomes 1, each by its own upcaster, and reads as today's class."""

    @upcasts(WITHDRAWN, version=-1)
    def rename(data: dict[str, Any]) -> dict[str, Any]:
        return {"sample_id": data["sample"], "barcode": data["barcode"]}

    @upcasts(WITHDRAWN, version=0)
    def fill(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "submission_id": data["sample_id"]}

    message = catalog.decode_data(WITHDRAWN, -1, dict(OLD))
    assert isinstance(message, SampleWithdrawn)
    assert str(message.submission_id) == OLD["sample"]
    assert rename(dict(OLD)) | fill(rename(dict(OLD))) == fill(rename(dict(OLD)))


@pytest.mark.usefixtures("no_upcasters_left_behind")
def test_an_upcaster_is_registered_once() -> None:
    """Two would be two truths."""
    upcasts(WITHDRAWN, version=0)(dict)
    with pytest.raises(ValueError, match=r"sample\.withdrawn version 0 has an upcaster already"):
        upcasts(WITHDRAWN, version=0)(dict)


def test_a_version_without_a_path_says_what_to_do() -> None:
    """Older than every upcaster: register one; newer than this code: deploy the newer contracts."""
    with pytest.raises(UnknownVersionError, match="no upcaster from version 0: register one"):
        catalog.decode(WITHDRAWN, 0, b"{}")
    with pytest.raises(UnknownVersionError, match=r"newer than 1.*deploy the newer contracts"):
        catalog.decode(WITHDRAWN, 2, b"{}")


def test_every_registered_upcaster_leads_to_a_version_that_exists() -> None:
    """None is for a type nobody knows, or from the present version on."""
    for type_, version in versions.UPCASTERS:
        assert version < catalog.message_class(type_).contract.version


def test_a_message_without_its_answer_is_a_mistake() -> None:
    """`class X(Command)` without `[Result]` cannot be asked."""

    class Lost(Command):  # type: ignore[type-arg] # the mistake in question
        """Say nothing of the answer."""

    with pytest.raises(
        TypeError, match=r"Lost does not say what it answers: write Command\[Result"
    ):
        result_of(Lost)


def test_every_kind_of_message_is_in_the_catalog_once() -> None:
    """Commands, queries, events and lab events make up all messages."""
    kinds = (catalog.COMMANDS, catalog.QUERIES, catalog.EVENTS, catalog.LAB_EVENTS)
    assert sum(len(kind) for kind in kinds) == len(catalog.MESSAGES)
    assert all(issubclass(m, Message) for m in catalog.MESSAGES.values())
    assert all(issubclass(m, Event) for m in catalog.EVENTS.values())
