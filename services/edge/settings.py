"""What the edge is told from outside, at its start and while it runs."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.http.asking import ANSWER_SECONDS
from infra.runtime.told import Told
from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_EDGE_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_EDGE_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8089
    trust_network: bool = False
    """Serve others than this machine although callers are not authenticated yet."""
    upload_bytes_max: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] = 32 * 1024 * 1024
    """Of a whole form, its files included."""


class Live(Told):
    """What the configuration of `api-gateway` says, at any time."""

    request_timeout_seconds: Annotated[float, Field(ge=1, le=60)] = ANSWER_SECONDS
    """For a service's answer to a question, beyond any wait that its caller asks for."""
    enable_request_logging: bool = True
    """Whether each request gets a line in the log."""
