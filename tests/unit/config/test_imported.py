"""What a document may say of secrets: refused before it is part of any message."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.config import ImportConfig

AT = datetime(2026, 11, 23, tzinfo=UTC)
CANARY = "canary-7d11b2"


def imported(key: str, **item: Any) -> ImportConfig:  # noqa: ANN401 - fields of an item
    """Import one item."""
    whole = {"source": "default", "created_at": AT, "set_at": AT, "set_by": "ada", **item}
    document = {"service": "auth-service", "environment": "default", "items": {key: whole}}
    return ImportConfig.model_validate(
        {"service": "auth-service", "environment": "default", "document": document}
    )


@pytest.mark.parametrize(
    ("key", "item", "remedy"),
    [
        ("jwt_secret", {"secret": True, "value": CANARY}, "jwt_secret --secret"),
        ("plain", {"secret": True, "value": {"deep": CANARY}}, "plain --secret"),
        ("jwt_secret", {"value": CANARY}, "`secret: false`"),
    ],
)
def test_a_secret_in_the_clear_is_refused_and_not_repeated(
    key: str, item: dict[str, Any], remedy: str
) -> None:
    """The error names the key and what to do, and not the value."""
    with pytest.raises(ValidationError) as refused:
        imported(key, **item)

    said = str(refused.value)
    assert f"document.items.{key}" in said
    assert remedy in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ("jwt_secret", {"secret": True, "value": "enc:v1:k1:a:b:c"}),
        ("jwt_secret", {"secret": False, "value": "shown to everyone"}),
        ("jwt_secret", {"value": None}),
        ("max_batch_size", {"value": 5}),
    ],
)
def test_what_is_encrypted_or_said_to_be_none_is_taken(key: str, item: dict[str, Any]) -> None:
    """As an export writes it."""
    assert imported(key, **item).document.items[key].value == item["value"]
