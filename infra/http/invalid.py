"""What pydantic found wrong, said to people: the field, the value, the problem, the remedy.

Nothing is validated here; the contracts do that.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts.errors import FieldError, InvalidInput

ERRORS_MAX = 100
"""Field errors told one by one; `count` has the number of all."""
VALUE_CHARS_MAX = 120
"""How much of a wrong value is given back."""

ELSEWHERE = "See /openapi.json for what is accepted."

_SAYS: dict[str, tuple[str, str]] = {
    "missing": ("is missing", "Give it."),
    "none_required": ("must be empty", "Leave it out, or give null."),
    "model_type": ("is no object", "Give a JSON object."),
    "model_attributes_type": ("is no object", "Give a JSON object."),
    "dict_type": ("is no object", "Give a JSON object."),
    "list_type": ("is no list", "Give a list, in a query or form by repeating the name."),
    "string_type": ("is no text", "Give text, in quotes."),
    "string_too_short": ("is too short", "Give at least {min_length} character(s)."),
    "string_too_long": ("is too long", "Give at most {max_length} characters."),
    "string_pattern_mismatch": (
        "does not have the form that is wanted",
        "Match the pattern {pattern}",
    ),
    "too_short": ("has too few items", "Give at least {min_length}."),
    "too_long": ("has {actual_length} items, which is too many", "Give at most {max_length}."),
    "enum": ("is none of the known values", "Use one of {expected}."),
    "literal_error": ("is none of the known values", "Use {expected}."),
    "greater_than": ("is too small", "Give more than {gt}."),
    "greater_than_equal": ("is too small", "Give {ge} or more."),
    "less_than": ("is too large", "Give less than {lt}."),
    "less_than_equal": ("is too large", "Give {le} or less."),
    "finite_number": ("is no finite number", "Give a number; neither NaN nor infinity is one."),
    "decimal_type": ("is no number", "Give a number, with a point for decimals."),
    "decimal_parsing": ("is no number", "Give a number, with a point for decimals and no unit."),
    "decimal_max_digits": ("has too many digits", "Give at most {max_digits} digits in all."),
    "decimal_max_places": ("has too many decimals", "Round it to {decimal_places} decimals."),
    "decimal_whole_digits": (
        "is too large",
        "Give at most {whole_digits} digits before the point.",
    ),
    "int_type": ("is no whole number", "Give a whole number."),
    "int_parsing": ("is no whole number", "Give a whole number, in digits."),
    "int_parsing_size": ("is too large", "Give a smaller number."),
    "int_from_float": ("is no whole number", "Give a whole number, without decimals."),
    "float_type": ("is no number", "Give a number."),
    "float_parsing": ("is no number", "Give a number, with a point for decimals."),
    "bool_type": ("is neither true nor false", "Use true or false."),
    "bool_parsing": ("is neither true nor false", "Use true or false."),
    "uuid_type": (
        "is no identifier",
        "Give the id as it was answered, such as 0198c0de-0000-7000-8000-000000000000.",
    ),
    "uuid_parsing": (
        "is no identifier",
        "Give the id as it was answered, such as 0198c0de-0000-7000-8000-000000000000.",
    ),
    "date_type": ("is no date", "Write it as 2026-01-31."),
    "date_parsing": ("is no date", "Write it as 2026-01-31."),
    "date_from_datetime_parsing": ("is no date", "Write it as 2026-01-31."),
    "date_from_datetime_inexact": ("has a time of day", "Give the date alone, as 2026-01-31."),
    "datetime_type": ("is no time", "Write it as 2026-01-31T12:00:00Z."),
    "datetime_parsing": (
        "is no time",
        "Write it as 2026-01-31T12:00:00Z; in a query a + must be written %2B.",
    ),
    "datetime_from_date_parsing": (
        "is no time",
        "Write it as 2026-01-31T12:00:00Z; in a query a + must be written %2B.",
    ),
    "timezone_aware": ("does not say its offset from UTC", "Write it as 2026-01-31T12:00:00Z."),
}


def invalid_input(
    error: ValidationError, model: type[BaseModel], found: Iterable[FieldError] = ()
) -> InvalidInput:
    """Say what does not fit a model, beside what was found before.

    Of a top-level field in `found` nothing more is said: what pydantic sees there follows from it.
    A model that hides its input has no value given back: any of them may be a secret.
    """
    errors = list(found)
    known = {field_error.field.partition(".")[0] for field_error in errors}
    raw = error.errors(include_url=False, include_input=not hides_input(model))
    errors += [_say(item, model) for item in raw if _path(item["loc"][:1]) not in known]
    return InvalidInput(count=len(errors), errors=errors[:ERRORS_MAX])


def hides_input(model: type[BaseModel]) -> bool:
    """Say whether what is wrong with a model is told without what was given."""
    return model.model_config.get("hide_input_in_errors", False)


def shorten(value: object) -> str:
    """Write a value as it was given, at most `VALUE_CHARS_MAX` characters of it."""
    # Cut before writing where that can be done: the value may be a body of megabytes.
    text = value[: VALUE_CHARS_MAX + 1] if isinstance(value, str) else repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"


def _say(item: Any, model: type[BaseModel]) -> FieldError:  # noqa: ANN401 - pydantic's own error details
    loc: tuple[int | str, ...] = item["loc"]
    kind: str = item["type"]
    if kind == "extra_forbidden":
        problem, remedy = "is not known here", _known_fields(model, loc)
    elif kind in _SAYS:
        problem, remedy = (said.format_map(item.get("ctx", {})) for said in _SAYS[kind])
    elif kind == "value_error":
        # Our own words: the problem, and after a semicolon or colon what to do.
        problem, remedy = _split(str(item["msg"]).removeprefix("Value error, "))
    else:
        problem, remedy = str(item["msg"]), ELSEWHERE
    value = None if kind == "missing" or "input" not in item else shorten(item["input"])
    return FieldError(field=_path(loc) or "body", value=value, problem=problem, remedy=remedy)


def _split(said: str) -> tuple[str, str]:
    for mark in ("; ", ": "):
        problem, found, remedy = said.partition(mark)
        if found:
            return problem, f"{remedy[:1].upper()}{remedy[1:].rstrip('.')}."
    return said, ELSEWHERE


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _known_fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    for part in loc[:-1]:
        info = model.model_fields.get(str(part))
        inner = info.annotation if info is not None else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return "Leave it out."
        model = inner
    close = get_close_matches(str(loc[-1]), model.model_fields, n=1)
    if close:
        return f"Did you mean {close[0]}? Otherwise leave it out."
    known = ", ".join(model.model_fields)
    return f"Leave it out; known are: {known}." if known else "Leave it out; nothing is taken here."
