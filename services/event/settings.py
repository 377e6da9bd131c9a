"""What the event service is told from outside."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_EVENT_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_EVENT_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8087
