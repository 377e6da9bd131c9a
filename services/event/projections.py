"""Messages in, timeline out: one projector for each of the two streams."""

from collections.abc import Sequence
from functools import partial

from contracts import subjects
from contracts.message import Kind
from infra.runtime.platform import Platform
from infra.runtime.stream_source import StreamSource, Told
from infra.store.projector import Projector
from infra.store.read_model import Write
from services.event.store import MODELS, document

FILTERS = {
    subjects.EVENTS: subjects.every(Kind.EVENT),
    subjects.LAB: subjects.every(Kind.LAB),
}


def timeline(platform: Platform, stream: str) -> Projector[Told]:
    """Keep a stream's part of the timeline."""
    source = StreamSource(platform.connection, stream, FILTERS[stream], clock=platform.clock)
    return Projector(
        platform.service,
        platform.store,
        MODELS[stream],
        source,
        partial(project, stream),
        clock=platform.clock,
    )


async def project(stream: str, batch: Sequence[Told]) -> Sequence[Write]:
    """Write an entry for each message that can be read."""
    documents = (document(stream, told) for told in batch)
    return [put for put in documents if put is not None]
