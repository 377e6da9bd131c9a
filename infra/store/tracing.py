"""Where the store stands in a trace: each call is a span, and a bulk write hangs on its causes.

A bulk write has many causes: it is a child of the first and linked to the others. What nobody
caused (looking whether the store is still there) is in no trace.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from opentelemetry import context as current
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    Tracer,
    TracerProvider,
    get_current_span,
    set_span_in_context,
    use_span,
)

from infra.telemetry.tracing import extract

LINKS_MAX = 32

untraced = suppress_instrumentation
"""Within it, calls to the store are no spans."""


def instrument(provider: TracerProvider) -> None:
    """Make every call to the store a span; once per process, later calls change nothing."""
    instrumentor = PymongoInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=provider)


@contextmanager
def span_for(tracer: Tracer, name: str, traceparents: Sequence[str | None]) -> Generator[Span]:
    """Open the span of a batch: child of its first sampled cause, linked to the others.

    Where no cause is sampled nothing is recorded, nor are the calls within.
    """
    causes = [c for c in map(_cause, dict.fromkeys(traceparents)) if c is not None]
    if not causes:
        with untraced():
            yield get_current_span()
        return
    parent = extract(causes[0][0])
    links = [Link(where) for _, where in causes[1 : LINKS_MAX + 1]]
    span = tracer.start_span(name, context=parent, links=links)
    # Attached to the cause's context, not to ours: ours may be one that records nothing.
    token = current.attach(set_span_in_context(span, parent))
    try:
        with use_span(span, end_on_exit=True):
            yield span
    finally:
        current.detach(token)


def _cause(traceparent: str | None) -> tuple[str, SpanContext] | None:
    if traceparent is None:
        return None
    where = get_current_span(extract(traceparent)).get_span_context()
    return (traceparent, where) if where.is_valid and where.trace_flags.sampled else None
