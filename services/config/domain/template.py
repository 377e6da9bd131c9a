"""The aggregate of a template: values that many services share, in versions that do not change."""

from collections.abc import Iterable, Sequence

from contracts.aggregate import Aggregate
from contracts.config import SaveTemplate
from contracts.config_refusals import StaleTemplate, TemplateNeeds
from contracts.config_release import TemplateSaved
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event


def evolve(current: TemplateSaved | None, event: Event, entry: Entry) -> TemplateSaved | None:
    """Keep the newest version."""
    del entry
    return event if isinstance(event, TemplateSaved) else current


TEMPLATE: Aggregate[TemplateSaved] = Aggregate("config", "template", TemplateSaved, evolve)


def save(current: TemplateSaved | None, command: SaveTemplate) -> Sequence[Event] | Refusal:
    """Keep another version; the same again is none."""
    version = current.version if current else 0
    if command.expected_version is not None and command.expected_version != version:
        return StaleTemplate(name=command.name, version=version, expected=command.expected_version)
    saved = TemplateSaved(
        name=command.name,
        version=version + 1,
        description=command.description,
        values=dict(sorted(command.values.items())),
        required=command.required,
    )
    if current is not None and saved.model_copy(update={"version": version}) == current:
        return ()
    return [saved]


def complete(
    service: str, templates: Iterable[TemplateSaved], own: Iterable[str]
) -> TemplateNeeds | None:
    """Refuse a layer that does not set what a template leaves to it."""
    has = set(own)
    for template in templates:
        missing = [key for key in template.required if key not in has]
        if missing:
            return TemplateNeeds(name=template.name, service=service, missing=", ".join(missing))
    return None
