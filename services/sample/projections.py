"""Which read models the sample service keeps from its log."""

from contracts.entry import Entry
from infra.runtime.platform import Platform
from infra.runtime.projection import project_states
from infra.store.projector import Projector
from services.sample.domain import SAMPLE
from services.sample.store import SAMPLES, document


def samples(platform: Platform) -> Projector[Entry]:
    """Keep the list of samples."""
    log = platform.log
    return Projector(
        platform.service,
        platform.store,
        SAMPLES,
        log,
        project_states(log, SAMPLE, document),
        clock=platform.clock,
    )
