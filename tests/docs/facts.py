"""What the settings classes say, in the form in which the pages show it."""

import importlib
from collections.abc import Iterator
from typing import cast

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from infra.breaker.registry import BreakerSettings
from infra.settings import CommonSettings, ServiceSettings
from services import catalog


def settings() -> dict[str, str]:
    """Give every environment variable that a process is told by: its name -> its default."""
    return dict(_settings())


def _settings() -> Iterator[tuple[str, str]]:
    models: list[type[BaseSettings]] = [CommonSettings, BreakerSettings, *_of_services()]
    for model in models:
        prefix = str(model.model_config.get("env_prefix", ""))
        for name, field in model.model_fields.items():
            default: object = field.default
            assert default is not PydanticUndefined, f"{prefix}{name} has no default"
            yield f"{prefix}{name.upper()}", _shown(default)


def _of_services() -> Iterator[type[ServiceSettings]]:
    for service in catalog.SERVICES:
        module = importlib.import_module(f"{service.module}.settings")
        yield cast("type[ServiceSettings]", module.Settings)


def _shown(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case SecretStr():
            return "(secret)"
        case _:
            return str(default)
