"""What the transaction service is told from outside."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_TRANSACTION_...`."""

    model_config = SettingsConfigDict(
        env_prefix="TRACSEQ_TRANSACTION_", frozen=True, extra="ignore"
    )

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8088
    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 10
    """How long partitions stay with a process that is not heard of any more."""
    sweep_seconds: Annotated[float, Field(gt=0, le=3_600)] = 30
    """Between two searches for timers that did not fire."""
    sweep_grace_seconds: Annotated[float, Field(ge=0, le=3_600)] = 10
    """How late a timer may fire by itself."""
    audit_seconds: Annotated[float, Field(gt=0, le=3_600)] = 2
    """Between two sagas whose documents are compared with their logs; a cycle compares them all."""
    archive_after_days: Annotated[float, Field(ge=1, le=36_500)] = 30
    """How long a saga that has ended stays as it is; then its history moves to the archive."""
