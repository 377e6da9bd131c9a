"""How spans leave the process: sampled, in batches, over OTLP/HTTP, through a bounded queue.

A receiver that is slow, away or wrong costs spans, never a request, and never a slow exit. Loaded
only where an endpoint is configured (`infra.telemetry.tracing`).
"""

from collections.abc import Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from infra.clock import SYSTEM, Clock

QUEUE_SPANS_MAX = 8_192
"""Spans that wait to be sent; beyond it the newest are dropped."""
BATCH_SPANS_MAX = 512
BATCH_DELAY_MILLISECONDS = 1_000
EXPORT_TIMEOUT_SECONDS = 3.0
"""For one batch, its retries included."""
PAUSE_SECONDS = 10.0
"""After a batch that failed; what comes meanwhile is dropped: nobody waits for a dead receiver."""

SAGA_PREFIX = "saga"
"""Spans named so are kept always: sagas are few, and somebody looks at those that failed."""

log = structlog.get_logger()


class Root(Sampler):
    """Decides for a trace that begins here: sagas always, everything else by ratio."""

    def __init__(self, ratio: float) -> None:
        self._others = TraceIdRatioBased(ratio)

    def should_sample(  # noqa: PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Sample or drop; by trace id, so that every service would decide alike."""
        chosen = ALWAYS_ON if name.startswith(SAGA_PREFIX) else self._others
        return chosen.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Say what it does, as shown by the SDK."""
        return f"SagasAlways({self._others.get_description()})"


class Sparing(SpanExporter):
    """Sends through another exporter; leaves a receiver that does not answer alone for a while."""

    def __init__(self, exporter: SpanExporter, endpoint: str, clock: Clock = SYSTEM) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._clock = clock
        self._paused_until: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, or drop it while pausing."""
        if self._paused_until is not None and self._clock.monotonic() < self._paused_until:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if self._paused_until is None:
                log.warning("traces_lost", endpoint=self._endpoint, retry_seconds=PAUSE_SECONDS)
            self._paused_until = self._clock.monotonic() + PAUSE_SECONDS
        elif self._paused_until is not None:
            log.info("traces_sent_again", endpoint=self._endpoint)
            self._paused_until = None
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()


class Pipeline:
    """One queue, one thread and one connection to a receiver, for every service of the process."""

    def __init__(self, endpoint: str) -> None:
        url = f"{endpoint.rstrip('/')}/v1/traces"
        exporter = OTLPSpanExporter(
            endpoint=url, timeout=EXPORT_TIMEOUT_SECONDS, compression=Compression.Gzip
        )
        self._processor = BatchSpanProcessor(
            Sparing(exporter, url),
            max_queue_size=QUEUE_SPANS_MAX,
            schedule_delay_millis=BATCH_DELAY_MILLISECONDS,
            max_export_batch_size=BATCH_SPANS_MAX,
        )

    def provider(self, service: str, ratio: float) -> TracerProvider:
        """Make the provider whose spans carry the service's name."""
        provider = TracerProvider(
            sampler=ParentBased(Root(ratio)),
            resource=Resource({"service.name": service, "service.namespace": "tracseq"}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        return provider

    def flush(self) -> None:
        """Send what waits; bounded, since after one batch that failed the others are dropped."""
        self._processor.force_flush()

    def shutdown(self) -> None:
        """Send what waits, then stop; bounded as `flush` is."""
        self._processor.shutdown()  # type: ignore[no-untyped-call] # the SDK does not say None
