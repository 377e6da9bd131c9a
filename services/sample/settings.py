"""What the sample service is told from outside."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_SAMPLE_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_SAMPLE_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    claim_grace_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long a claimed barcode may wait for its sample before another may have it."""
