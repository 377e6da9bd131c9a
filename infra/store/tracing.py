"""Where the store stands in a trace: each call is a span, and a bulk write hangs on what caused it first."""

from collections.abc import Sequence

from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.trace import Link, Tracer, TracerProvider, get_current_span
from opentelemetry.trace.span import Span

from infra.telemetry.tracing import extract

LINKS_MAX = 32


def instrument(provider: TracerProvider) -> None:
    """Make every call to the store a span; once per process, later calls change nothing."""
    instrumentor = PymongoInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=provider)


def bulk_span(tracer: Tracer, name: str, traceparents: Sequence[str]) -> Span:
    """Start the span of a bulk write: child of the first cause, linked to the others."""
    causes = list(dict.fromkeys(traceparents))
    contexts = [extract(cause) for cause in causes[: LINKS_MAX + 1]]
    links = [Link(get_current_span(context).get_span_context()) for context in contexts[1:]]
    return tracer.start_span(name, context=contexts[0] if contexts else None, links=links)
