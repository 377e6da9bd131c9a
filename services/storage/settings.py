"""What the storage service is told from outside."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_STORAGE_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_STORAGE_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8082
    sweep_seconds: Annotated[float, Field(gt=0, le=3_600)] = 5.0
    """How often positions that are held beyond their time are looked for."""
    inventory_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long a message may wait for the inventory to catch up with the log."""
