"""Which read models the configuration service keeps from its log."""

from contracts.entry import Entry
from infra.log.log import Log
from infra.runtime.platform import Platform
from infra.runtime.projection import project_states
from infra.store.projector import Projector
from services.config.domain.release import RELEASE
from services.config.domain.request import REQUEST
from services.config.store import LAYERS, REQUESTS, layer, request


def layers(platform: Platform, log: Log) -> Projector[Entry]:
    """Keep the list of what layers set."""
    project = project_states(log, RELEASE, layer)
    return Projector(platform.service, platform.store, LAYERS, log, project, clock=platform.clock)


def requests(platform: Platform, log: Log) -> Projector[Entry]:
    """Keep the list of change requests."""
    project = project_states(log, REQUEST, request)
    return Projector(platform.service, platform.store, REQUESTS, log, project, clock=platform.clock)
