"""What whoever changes a configuration is answered: by what was planned, or by what the log has."""

from collections.abc import Mapping
from typing import Any

from contracts.aggregate import Loaded
from contracts.config_release import Edits, Released
from contracts.config_types import Environment
from contracts.config_views import Affected, ConfigEdited
from services.config.domain.layers import shadowed
from services.config.domain.release import ORDER, Current, Layers, version


def told(shown: ConfigEdited, done: list[Loaded[Any]]) -> ConfigEdited:
    """Complete an answer by what was appended."""
    released = [(one, one.state) for one in done if isinstance(one.state, Current)]
    versions = {state.release.environment: version(state) for _, state in released}
    return shown.model_copy(
        update={
            "version": versions.get(shown.environment, shown.version),
            "affected": [
                one.model_copy(update={"version": versions.get(one.environment, one.version)})
                for one in shown.affected
            ],
            "seq": max((one.seq for one, _ in released), default=0),
        }
    )


def answer(
    service: str, environment: Environment, found: Mapping[Environment, Released]
) -> ConfigEdited:
    """Answer by what the log has."""
    base = found.get(Environment.DEFAULT)
    touched = [change.key for change in base.changes] if base else []
    edited = found.get(environment)
    return ConfigEdited(
        service_name=service,
        environment=environment,
        version=edited.release.version if edited else 0,
        affected=[
            Affected(
                environment=one,
                version=released.release.version,
                changes=list(released.changes),
                shadowed=[]
                if one is Environment.DEFAULT
                else shadowed(touched, released.release.own),
            )
            for one, released in found.items()
        ],
        warnings=[],
    )


def affected(edits: Edits, layers: Layers, planned: dict[Environment, Released]) -> list[Affected]:
    """Say what becomes of every environment that an edit reaches, or would reach."""
    touched = {*edits.set, *edits.delete}
    found: list[Affected] = []
    for environment in ORDER:
        released, current = planned.get(environment), layers.get(environment)
        hidden: list[str] = []
        if edits.environment is Environment.DEFAULT and environment is not Environment.DEFAULT:
            hidden = shadowed(touched, current.release.own if current else {})
        if (released is not None and released.changes) or hidden:
            found.append(
                Affected(
                    environment=environment,
                    version=released.release.version if released else version(current),
                    changes=list(released.changes) if released else [],
                    shadowed=hidden,
                )
            )
    return found
