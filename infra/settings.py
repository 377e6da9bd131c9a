"""What every service must be told from outside: addresses, limits, how much to say.

Read from the environment: `TRACSEQ_...` for what is common, `TRACSEQ_<SERVICE>_...` for a service's
own. Units are in the names.
"""

import os
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Profile = Literal["dev", "safe", "ha"]


class CommonSettings(BaseSettings):
    """What all services share."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_", frozen=True, extra="ignore")

    nats_url: str = "nats://127.0.0.1:4222"
    mongo_url: str = "mongodb://127.0.0.1:27017/?retryWrites=false"
    mongo_database_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "tracseq"
    http_host: str = "127.0.0.1"
    profile: Profile = "dev"
    """What the broker survives: `dev` any process kill, `safe` a power cut, `ha` a lost machine."""
    environment: Literal["development", "staging", "production"] = "development"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    instance: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = None
    """What tells this process from others that run the same service, and stays over a restart.

    No two may run under one name at a time: whoever starts takes over at once what its forerunner
    held. Without it, host and port of the service; see `instance_of`.
    """
    otlp_endpoint: str | None = None
    """Where traces go, such as `http://127.0.0.1:4318`; none are kept without it."""
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    config_snapshot_dir: Path | None = None
    """Where a service keeps the configuration that it runs, to start from it when all is down."""
    config_keys_dir: Path | None = None
    """Where the keys lie with which each service opens its own secrets: `SERVICE.json`."""
    drain_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """How long a service may finish what is under way when it is told to stop."""

    @model_validator(mode="after")
    def _production_is_durable(self) -> Self:
        if self.environment == "production" and self.profile == "dev":
            raise ValueError(
                "production refuses the profile dev, which may lose what was answered when the "
                "power fails: run the broker with sync_interval always and set "
                "TRACSEQ_PROFILE=safe, or run it as a cluster and set TRACSEQ_PROFILE=ha"
            )
        return self


class ServiceSettings(BaseSettings):
    """What one service is told; subclasses add their own and set their prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)]
    """0 takes any free port."""


def instance_of(common: CommonSettings, own: ServiceSettings) -> str:
    """Name the process that runs a service: as it was told, else by what only one can listen on.

    With any free port there is no such thing: the name is then of this process alone.
    """
    if common.instance is not None:
        return common.instance
    return f"{socket.gethostname()}-{own.http_port or f'p{os.getpid()}'}"
