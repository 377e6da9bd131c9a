"""Input that does not fit: the field, the value, the problem, the remedy."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from contracts.errors import InvalidInput
from contracts.lab_processes import DisposeSamples
from contracts.sample import GetSample, ListSamples, RegisterSample
from contracts.transaction import SubmitManifest
from infra.http.invalid import ERRORS_MAX, VALUE_CHARS_MAX, invalid_input

DETAILS = {"barcode": "LAB-1", "name": "One", "sample_type": "DNA", "zone": "-80C"}


def _refused(model: type[BaseModel], values: dict[str, Any]) -> InvalidInput:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return invalid_input(caught.value, model)


@pytest.mark.parametrize(
    ("change", "field", "problem", "remedy"),
    [
        ({"barcode": "?"}, "details.barcode", "form", "pattern"),
        ({"sample_type": "Rock"}, "details.sample_type", "known values", "'Blood'"),
        ({"volume_ul": -1}, "details.volume_ul", "too small", "more than 0"),
        ({"volume_ul": "5 ml"}, "details.volume_ul", "no number", "no unit"),
        ({"volume_ul": "1.123456"}, "details.volume_ul", "decimals", "4 decimals"),
        ({"concentration_ng_per_ul": 1e9}, "details.concentration_ng_per_ul", "large", "8 digits"),
        ({"quality_score": float("nan")}, "details.quality_score", "finite", "NaN"),
        ({"collected_on": "31.1.2026"}, "details.collected_on", "no date", "2026-01-31"),
        ({"name": "x" * 300}, "details.name", "too long", "255"),
        ({"name": None}, "details.name", "no text", "in quotes"),
        ({"volumeul": 1}, "details.volumeul", "not known", "Did you mean volume_ul?"),
    ],
)
def test_every_problem_names_field_and_remedy(
    change: dict[str, Any], field: str, problem: str, remedy: str
) -> None:
    """What is wrong with one value is said in words, with what to do."""
    refusal = _refused(RegisterSample, {"details": DETAILS | change})
    (error,) = refusal.errors
    assert error.field == field
    assert problem in error.problem
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("model", "values", "field", "remedy"),
    [
        (GetSample, {"sample_id": "7"}, "sample_id", "0198c0de"),
        (GetSample, {}, "sample_id", "Give it."),
        (ListSamples, {"page": "many"}, "page", "whole number"),
        (ListSamples, {"page": "0"}, "page", "1 or more"),
        (ListSamples, {"zzz": "0"}, "zzz", "known are: status"),
        (SubmitManifest, {"file": None, "partial": "perhaps"}, "partial", "true or false"),
        (DisposeSamples, {"approvers": ["ada", "ada"]}, "approvers", "Name each person once."),
    ],
)
def test_queries_and_flags_are_told_in_their_own_words(
    model: type[BaseModel], values: dict[str, Any], field: str, remedy: str
) -> None:
    """Ids, numbers, flags and unknown names each have a remedy of their own."""
    said = {error.field: error.remedy for error in _refused(model, values).errors}
    assert remedy in said[field]


def test_a_time_without_offset_is_told_how_to_write_it() -> None:
    """Local times are ambiguous, so they are refused with an example."""
    values = {"sample_id": "0198c0de-0000-7000-8000-000000000001", "at": "2026-01-31T12:00:00"}
    (error,) = _refused(GetSample, values).errors
    assert error.problem == "does not say its offset from UTC"


def test_an_item_of_a_list_is_named_by_its_place() -> None:
    """The second address is `emails[1]`."""
    reference = {"sha256": "a" * 64, "size_bytes": 1, "name": "m"}
    refusal = _refused(SubmitManifest, {"file": reference, "emails": ["a@b.org", "nobody"]})
    assert [error.field for error in refusal.errors] == ["emails[1]"]


def test_what_is_given_back_of_input_is_bounded() -> None:
    """Neither a long value nor a long list of errors makes a long answer."""
    values: dict[str, Any] = {f"unknown_{n}": "x" * 10_000 for n in range(ERRORS_MAX + 50)}
    refusal = _refused(ListSamples, values)
    assert refusal.count == ERRORS_MAX + 50
    assert len(refusal.errors) == ERRORS_MAX
    assert all(len(error.value or "") <= VALUE_CHARS_MAX for error in refusal.errors)
