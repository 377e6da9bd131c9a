"""Traces: one connected tree from an HTTP request through every message to the last database call.

The context travels as W3C `traceparent`; `tracestate` is not carried on. The root of a trace
decides whether it is sampled, everybody below follows, and an unsampled message costs next to
nothing. Where no endpoint is configured nothing is recorded, but every trace still has an id, so
that logs and problem details can be matched. How spans are sent stands in `infra.telemetry.export`.
"""

import re
from contextvars import Token
from functools import lru_cache
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal

from opentelemetry import context as current
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TracerProvider,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import Attributes

from contracts.errors import Refused
from infra.ids import new_id

if TYPE_CHECKING:
    from opentelemetry.util._decorator import (
        _AgnosticContextManager,  # pyright: ignore[reportPrivateUsage] - the base class returns it
    )

    from infra.telemetry.export import Pipeline

Kind = Literal["server", "client", "producer", "consumer", "internal"]

KINDS = MappingProxyType({kind.name.lower(): kind for kind in SpanKind})
SAMPLE_RATIO = 0.1
"""How many of the traces are sampled that nobody above decided on; those of sagas are anyway."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
PARSED_MAX = 1_024
"""Senders kept in memory: all messages of a saga that is not sampled name the same one."""
_SPAN_ID_MASK = (1 << 64) - 1


class _SilentTracer(Tracer):
    """Records nothing; carries the trace of whoever is above, and begins one where nobody is."""

    def start_span(
        self, name: str, context: Context | None = None, *_: object, **__: object
    ) -> Span:
        """Give the parent itself, or an unsampled root with a fresh trace id."""
        del name
        parent = get_current_span(context)
        if parent.get_span_context().is_valid:
            return NonRecordingSpan(parent.get_span_context())
        identity = new_id().int
        return NonRecordingSpan(
            SpanContext(identity, identity & _SPAN_ID_MASK, is_remote=False, trace_flags=_OFF)
        )

    def start_as_current_span(
        self, name: str, context: Context | None = None, *_: object, **__: object
    ) -> "_AgnosticContextManager[Span]":
        """As `start_span`, and make it the current one for a while."""
        return use_span(self.start_span(name, context))


class _SilentProvider(TracerProvider):
    """Gives silent tracers, whoever asks."""

    def get_tracer(self, *_: object, **__: object) -> Tracer:
        """Give the one silent tracer."""
        return _SILENT_TRACER


_OFF = TraceFlags(TraceFlags.DEFAULT)
_SILENT_TRACER = _SilentTracer()
_SILENT_PROVIDER = _SilentProvider()

_pipelines: dict[str, "Pipeline"] = {}
"""Endpoint -> what sends there; every service of the process shares it."""
_providers: dict[str, TracerProvider] = {}
"""Service -> its provider, since a provider is what gives spans their `service.name`."""


def configure(service: str, endpoint: str | None = None, ratio: float = SAMPLE_RATIO) -> None:
    """Say where the spans of a service go; called once per service, before its tracer is taken.

    Args:
        service: the `service.name` of its spans.
        endpoint: base URL of an OTLP/HTTP receiver, such as `http://localhost:4318`; None or empty
            records nothing.
        ratio: how many of the traces that begin here are sampled, 0 to 1.
    """
    if not endpoint:
        _providers[service] = _SILENT_PROVIDER
        return
    # The SDK and its exporter cost 0.1 s and 15 MB: only who exports loads them.
    from infra.telemetry.export import Pipeline  # noqa: PLC0415

    pipeline = _pipelines.get(endpoint) or _pipelines.setdefault(endpoint, Pipeline(endpoint))
    _providers[service] = pipeline.provider(service, ratio)


def provider_for(service: str) -> TracerProvider:
    """Give what third-party instrumentation needs; silent where the service is not configured."""
    return _providers.get(service, _SILENT_PROVIDER)


def tracer_for(service: str) -> Tracer:
    """Give the tracer of a service; silent where it is not configured."""
    return provider_for(service).get_tracer("tracseq")


def flush() -> None:
    """Send what was recorded so far; blocks for a few seconds at most."""
    for pipeline in list(_pipelines.values()):
        pipeline.flush()


def shutdown() -> None:
    """Send what is left, stop, forget every service; blocks for a few seconds at most."""
    pipelines = list(_pipelines.values())
    _pipelines.clear()
    _providers.clear()
    for pipeline in pipelines:
        pipeline.shutdown()


def inject() -> str | None:
    """Give the current `traceparent`, for the message being sent; None outside a trace."""
    span = get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def extract(traceparent: str | None) -> Context:
    """Give the context in which the sender of a message was; empty where the header is no such."""
    sender = _parse(traceparent)
    return Context() if sender is None else set_span_in_context(NonRecordingSpan(sender), Context())


def current_trace_id() -> str | None:
    """Give the current trace's id, 32 hexadecimal digits; None outside a trace."""
    span = get_current_span().get_span_context()
    return f"{span.trace_id:032x}" if span.is_valid else None


def current_exemplar() -> dict[str, str] | None:
    """Give what links a metric to the current trace; None where the trace is not recorded."""
    span = get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}"} if span.trace_flags.sampled else None


class MessageSpan:
    """A span around the sending or handling of one message; see `message_span`."""

    __slots__ = ("_attributes", "_kind", "_name", "_span", "_token", "_traceparent", "_tracer")

    def __init__(  # noqa: PLR0917 - one caller, a line below; keywords would cost as much as the span
        self, tracer: Tracer, kind: Kind, name: str, traceparent: str | None, attributes: Attributes
    ) -> None:
        self._tracer = tracer
        self._kind = kind
        self._name = name
        self._traceparent = traceparent
        self._attributes = attributes
        self._span: Span | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> Span:
        sender = _parse(self._traceparent)
        parent = get_current_span() if sender is None else NonRecordingSpan(sender)
        above = parent.get_span_context()
        if above.is_valid and not above.trace_flags.sampled:
            # Nobody will see it: no span is made. A sender's trace has to become the current one.
            if sender is not None:
                self._token = current.attach(set_span_in_context(parent))
            return parent
        self._span = span = self._tracer.start_span(
            self._name, set_span_in_context(parent), KINDS[self._kind], self._attributes
        )
        self._token = current.attach(set_span_in_context(span))
        return span

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        if self._token is not None:
            current.detach(self._token)
        if self._span is not None:
            if error is not None:
                _tell(self._span, error)
            self._span.end()


def message_span(  # noqa: PLR0917 - the order is that of a sentence, and this is the hottest call here
    tracer: Tracer,
    kind: Kind,
    name: str,
    traceparent: str | None = None,
    attributes: Attributes = None,
) -> MessageSpan:
    """Open a span around the sending or the handling of one message, cheaply where unsampled.

    Args:
        tracer: of the service at work.
        kind: `consumer` or `server` for what handles, `producer` or `client` for what asks.
        name: low in variety: the type of the message, never an id.
        traceparent: the message's own, where it is handled; None continues the current span.
        attributes: what else to record.

    A refusal is an answer and recorded as attribute `tracseq.refusal`; any other exception that
    leaves the block is recorded as an error.
    """
    return MessageSpan(tracer, kind, name, traceparent, attributes)


@lru_cache(maxsize=PARSED_MAX)
def _parse(traceparent: str | None) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    parsed = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return parsed if parsed.is_valid else None


def _tell(span: Span, error: BaseException) -> None:
    if isinstance(error, Refused):
        span.set_attribute("tracseq.refusal", error.refusal.spec.code)
        return
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
