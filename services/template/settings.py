"""What the template service is told from outside."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read from `TRACSEQ_TEMPLATE_...`."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_TEMPLATE_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8083
    manifest_bytes_max: Annotated[int, Field(gt=0, le=64 * 1024 * 1024)] = 16 * 1024 * 1024
    """A larger file is no manifest: ten thousand rows have about two megabytes."""
    readings_max: Annotated[int, Field(ge=1, le=16)] = 2
    """Manifests that are read at once; a workbook may need a processor and a gibibyte."""
