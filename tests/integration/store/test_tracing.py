"""A bulk write is found in the trace of what caused it, and what nobody caused in none."""

from collections.abc import Generator

import pytest
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.tracing import instrument, span_for, untraced
from infra.telemetry import tracing
from tests.fixtures.otlp import OtlpReceiver, otlp
from tests.fixtures.raw_store import raw
from tests.integration.store.ledger import Ledger, projector_of, running

__all__ = ["otlp"]

FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
UNSAMPLED = "00-2af7651916cd43dd8448eb211c80319c-d7ad6b7169203331-00"


@pytest.fixture
def instrumented(otlp: OtlpReceiver) -> Generator[OtlpReceiver]:
    """Record the calls of this test alone: instrumentation is the process's, and the first wins."""
    instrumentor = PymongoInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
    # It is kept for ever else, with the provider that it was first given.
    instrumentor._commandtracer_instance = None  # pyright: ignore[reportPrivateUsage]
    tracing.configure("ledger", otlp.endpoint, ratio=1)
    instrument(tracing.provider_for("ledger"))
    yield otlp
    instrumentor.uninstrument()
    instrumentor._commandtracer_instance = None  # pyright: ignore[reportPrivateUsage]


def test_a_batch_is_a_child_of_its_first_cause_and_linked_to_the_others() -> None:
    """Each cause once; unsampled and unreadable ones are left out."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    causes = [None, UNSAMPLED, FIRST, "nonsense", SECOND, FIRST]

    with span_for(provider.get_tracer("test"), "project things", causes):
        pass

    (span,) = kept.get_finished_spans()
    assert span.parent is not None
    assert format_span_id(span.parent.span_id) == "b7ad6b7169203331"
    assert [format_trace_id(link.context.trace_id) for link in span.links] == [SECOND[3:35]]


def test_a_batch_that_nobody_sampled_is_no_span() -> None:
    """Causes without a sampled trace cost nothing."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))

    with span_for(provider.get_tracer("test"), "project things", [UNSAMPLED, None]):
        pass

    assert kept.get_finished_spans() == ()


async def test_the_calls_of_a_bulk_write_stand_below_it(
    store: Store, ledger: Ledger, instrumented: OtlpReceiver
) -> None:
    """From the command's span over the projector's down to the store's; looking is no trace."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(await ledger.write("ann-1", "red", FIRST), timeout_seconds=60)
        await SYSTEM.sleep(1.2)  # long enough for the projector to look at its store
    tracing.flush()

    update = f"{store.database}.update"
    spans = instrumented.wait_for("project things", update)
    (project,) = (span for span in spans if span.name == "project things")
    below = {span.name for span in spans if span.parent_id == project.span_id}
    assert (project.trace_id, project.parent_id) == (FIRST[3:35], "b7ad6b7169203331")
    assert {update, "admin.commitTransaction"} <= below
    assert {span.trace_id for span in spans} == {FIRST[3:35]}


async def test_calls_outside_of_any_trace_can_be_kept_silent(
    store: Store, instrumented: OtlpReceiver
) -> None:
    """Within `untraced` nothing is recorded; outside of it every call is."""
    with untraced():
        await raw(store, "silent").find_one({})
    await raw(store, "loud").find_one({})
    tracing.flush()

    spans = instrumented.wait_for(f"{store.database}.find")
    assert [span.name for span in spans] == [f"{store.database}.find"]
