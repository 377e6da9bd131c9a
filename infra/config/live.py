"""What a service can be told while it runs: the base of every `Live` model.

Constraints are declared, never coded: what JSON Schema says of a value is all there is to say, so
what the configuration service accepts by the schema no program refuses. Nothing is read here.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.config_types import to_json

BREAKERS_MAX = 256
_CALLS_MAX = 1_000_000
_SECONDS_MAX = 86_400
DRAFT = "https://json-schema.org/draft/2020-12/schema"


class _Told(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class BreakerNumbers(_Told):
    """Numbers of one circuit breaker; what is not named stays as the program declares it."""

    failure_threshold: Annotated[int, Field(ge=1, le=_CALLS_MAX)] = 5
    """Failures in a row that open it."""
    recovery_timeout: Annotated[float, Field(ge=0, le=_SECONDS_MAX)] = 30.0
    """Seconds it stays open before it tries again."""
    request_timeout: Annotated[float, Field(gt=0, le=_SECONDS_MAX)] | None = 10.0
    """Seconds one call may take; null waits for ever."""
    max_concurrent_requests: Annotated[int, Field(ge=1, le=_CALLS_MAX)] = 100
    """Calls under way at once; one more is refused."""
    success_threshold: Annotated[int, Field(ge=1, le=_CALLS_MAX)] = 3
    """Successes while half-open that close it."""
    half_open_max: Annotated[int, Field(ge=1, le=_CALLS_MAX)] = 1
    """Calls let through at once while half-open."""


class LiveSettings(_Told):
    """What every service can be told while it runs; subclasses add their own, with defaults.

    Keys that are not declared are ignored. Secrets are declared as `SecretStr`.
    """

    circuit_breaker_enabled: bool | None = None
    """Whether circuit breakers do anything; null leaves what the process was started with."""
    circuit_breakers: Annotated[dict[str, BreakerNumbers], Field(max_length=BREAKERS_MAX)] = Field(
        default_factory=dict[str, BreakerNumbers]
    )
    """Numbers of circuit breakers, by name."""

    def breaker_numbers(self) -> dict[str, dict[str, Any]]:
        """Give the numbers that were named, by circuit breaker."""
        return {
            name: numbers.model_dump(exclude_unset=True)
            for name, numbers in self.circuit_breakers.items()
        }


def schema_of(model: type[LiveSettings]) -> dict[str, Any]:
    """Write what a program understands as JSON Schema, 2020-12."""
    return {"$schema": DRAFT, **model.model_json_schema()}


def schema_hash(document: Mapping[str, Any]) -> str:
    """Name a schema by its SHA-256, in hexadecimal."""
    return hashlib.sha256(to_json(document)).hexdigest()
