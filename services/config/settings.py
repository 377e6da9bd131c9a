"""What the configuration service is told from outside; of itself it serves no configuration."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from contracts.config_types import Environment
from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_CONFIG_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_CONFIG_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8091
    protected: frozenset[Environment] | None = None
    """Environments that change with somebody else's consent only, as a JSON list; without it
    `production` where `TRACSEQ_ENVIRONMENT` is production, else none."""
    keyring_file: Path | None = None
    """The keys of this installation (`tracseq config keys`); without them no secrets are kept."""
    defaults: bool = True
    """Whether a service that was never configured gets the values it is known to need."""
    rollout_seconds: Annotated[float, Field(gt=0, le=60)] = 0.25
    """How often a staged rollout is looked at."""
    waiting_max: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Requests that wait for the next release at once."""
