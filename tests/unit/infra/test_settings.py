"""Tests of what every service is told from outside."""

import pytest
from pydantic import ValidationError

from infra.settings import CommonSettings


def test_production_refuses_a_broker_that_may_lose_answers() -> None:
    """The profile dev does not start in production, and the error says what to set instead."""
    with pytest.raises(ValidationError, match="TRACSEQ_PROFILE=safe"):
        CommonSettings(environment="production", profile="dev")


@pytest.mark.parametrize("profile", ["safe", "ha"])
def test_production_takes_a_durable_broker(profile: str) -> None:
    """Both durable profiles start in production."""
    settings = CommonSettings.model_validate({"environment": "production", "profile": profile})

    assert settings.profile == profile
