"""The template service, put together: what it takes, what it reads."""

from functools import partial

from contracts.template import CheckManifest, GetManifestTemplate, ValidateManifest
from infra.runtime import Platform, Service, handle
from services.template import handlers
from services.template.settings import Settings
from services.template.store import ManifestFiles


def build(settings: Settings, platform: Platform) -> Service:
    """Build the service on a platform; nothing is started."""
    bus = platform.bus
    files = ManifestFiles(
        bus.files, bytes_max=settings.manifest_bytes_max, readings_max=settings.readings_max
    )
    return Service(
        name="template",
        settings=settings,
        platform=platform,
        handlers=(
            handle(ValidateManifest, partial(handlers.on_validate_manifest, files=files, bus=bus)),
            handle(CheckManifest, partial(handlers.on_check_manifest, files=files, bus=bus)),
            handle(GetManifestTemplate, handlers.on_manifest_columns),
        ),
    )
