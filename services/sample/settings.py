"""What the sample service is told from outside, at its start and while it runs."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from contracts.template import ROWS_MAX
from infra.runtime.told import Told
from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_SAMPLE_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_SAMPLE_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    claim_grace_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long a claimed barcode may wait for its sample before another may have it."""


class Live(Told):
    """What the configuration of `sample-service` says, at any time."""

    max_batch_size: Annotated[int, Field(ge=1, le=100_000)] = ROWS_MAX
    """Samples that one submission may register; a manifest has a bound of its own."""
