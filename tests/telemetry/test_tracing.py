"""Traces: what is sampled, how a trace goes on in the next message, what arrives at a receiver."""

import time

import pytest
from opentelemetry.trace import SpanKind, get_current_span

from contracts.errors import NotFound, Refused
from infra.telemetry import tracing
from tests.fixtures.otlp import OtlpReceiver, otlp

__all__ = ["otlp"]

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_message_goes_on_in_the_trace_of_its_sender_across_services(otlp: OtlpReceiver) -> None:
    """Producer, consumer and nested producer make one tree, each under its own service's name."""
    tracing.configure("edge", otlp.endpoint, ratio=1)
    tracing.configure("sample", otlp.endpoint, ratio=0)
    edge, sample = tracing.tracer_for("edge"), tracing.tracer_for("sample")
    with (
        tracing.message_span(edge, "server", "POST /samples"),
        tracing.message_span(edge, "producer", "sample.register ask"),
    ):
        sent = tracing.inject()
    with tracing.message_span(sample, "consumer", "sample.register handle", sent):
        pass
    tracing.flush()

    spans = {s.name: s for s in otlp.wait_for("POST /samples", "sample.register handle")}
    root, asked, handled = (
        spans["POST /samples"],
        spans["sample.register ask"],
        spans["sample.register handle"],
    )
    assert (root.service, asked.service, handled.service) == ("edge", "edge", "sample")
    assert (root.kind, asked.kind, handled.kind) == ("server", "producer", "consumer")
    assert root.trace_id == asked.trace_id == handled.trace_id
    assert (root.parent_id, asked.parent_id) == ("", root.span_id)
    assert handled.parent_id == asked.span_id
    assert otlp.paths == {"/v1/traces"}


def test_a_sender_that_sampled_is_followed_whatever_the_ratio(otlp: OtlpReceiver) -> None:
    """At ratio 0 a message with a sampled traceparent is recorded, under its sender's span."""
    tracing.configure("sample", otlp.endpoint, ratio=0)
    with tracing.message_span(tracing.tracer_for("sample"), "consumer", "handle", SAMPLED):
        pass
    tracing.flush()
    (span,) = otlp.wait_for("handle")
    assert (span.trace_id, span.parent_id) == (TRACE, "b7ad6b7169203331")


def test_a_sender_that_did_not_sample_is_followed_even_by_a_saga(otlp: OtlpReceiver) -> None:
    """At ratio 1 nothing of an unsampled trace is recorded, so no tree is ever torn."""
    tracing.configure("transaction", otlp.endpoint, ratio=1)
    tracer = tracing.tracer_for("transaction")
    with tracing.message_span(tracer, "consumer", "saga sample_intake", UNSAMPLED) as span:
        assert not span.is_recording()
        assert tracing.current_trace_id() == TRACE
        assert tracing.inject() == UNSAMPLED
        with tracing.message_span(tracer, "producer", "ask"):
            assert tracing.inject() == UNSAMPLED
    with tracing.message_span(tracer, "internal", "afterwards"):
        pass
    tracing.flush()
    assert [s.name for s in otlp.wait_for("afterwards")] == ["afterwards"]


def test_a_saga_that_begins_a_trace_is_always_sampled(otlp: OtlpReceiver) -> None:
    """At ratio 0 a root named for a saga is recorded, another root is not."""
    tracing.configure("transaction", otlp.endpoint, ratio=0)
    tracer = tracing.tracer_for("transaction")
    with tracing.message_span(tracer, "consumer", "saga sample_intake due"):
        pass
    with tracing.message_span(tracer, "consumer", "transaction.list handle") as other:
        assert not other.is_recording()
    tracing.flush()
    assert [s.name for s in otlp.wait_for("saga sample_intake due")] == ["saga sample_intake due"]


def test_a_bug_is_recorded_as_an_error_and_a_refusal_as_an_answer(otlp: OtlpReceiver) -> None:
    """An exception fails its span and is told; a refusal only leaves its code; both still leave."""
    tracing.configure("sample", otlp.endpoint, ratio=1)
    tracer = tracing.tracer_for("sample")
    with (
        pytest.raises(ZeroDivisionError),
        tracing.message_span(tracer, "consumer", "bug", attributes={"tracseq.message_id": "m-1"}),
    ):
        _ = 1 // 0
    with pytest.raises(Refused), tracing.message_span(tracer, "consumer", "refusal"):
        raise Refused(NotFound(what="sample", key="S-1"))
    tracing.flush()
    spans = {span.name: span for span in otlp.wait_for("bug", "refusal")}
    assert (spans["bug"].failed, spans["bug"].events) == (True, ("exception",))
    assert spans["bug"].attributes == {"tracseq.message_id": "m-1"}
    assert (spans["refusal"].failed, spans["refusal"].events) == (False, ())
    assert spans["refusal"].attributes == {"tracseq.refusal": "request.not_found"}


def test_without_an_endpoint_every_trace_still_has_an_id_of_its_own() -> None:
    """A service that records nothing gives each root a fresh id and carries it on as unsampled."""
    tracing.configure("silent", None)
    tracer = tracing.tracer_for("silent")
    seen: set[str | None] = set()
    for _ in range(2):
        with tracing.message_span(tracer, "server", "GET /samples"):
            seen.add(tracing.current_trace_id())
            assert (tracing.inject() or "").endswith("-00")
            assert tracing.current_exemplar() is None
    assert len(seen) == 2
    assert all(trace_id and len(trace_id) == 32 for trace_id in seen)
    with tracer.start_as_current_span("by an instrumentation"):
        assert tracing.current_trace_id() not in {None, *seen}


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        SAMPLED.upper(),
        f"{SAMPLED}-more",
    ],
)
def test_a_header_that_is_no_traceparent_begins_a_new_trace(traceparent: str | None) -> None:
    """Malformed, all-zero and forbidden values are as none: nobody breaks a message with them."""
    assert not get_current_span(tracing.extract(traceparent)).get_span_context().is_valid
    with tracing.message_span(tracing.tracer_for("silent"), "consumer", "handle", traceparent):
        assert tracing.current_trace_id() not in {None, TRACE, "0" * 32}


def test_extract_gives_the_senders_context_and_inject_gives_it_back() -> None:
    """What a message carries is the sender's span, remote, with its flags."""
    sender = get_current_span(tracing.extract(SAMPLED)).get_span_context()
    assert (sender.is_remote, f"{sender.trace_id:032x}") == (True, TRACE)
    assert sender.trace_flags.sampled
    tracer = tracing.tracer_for("silent")
    with tracing.message_span(tracer, "consumer", "handle", SAMPLED):
        assert tracing.inject() == SAMPLED
    assert tracing.inject() is None
    assert tracing.current_trace_id() is None


def test_a_dead_receiver_costs_spans_but_no_time(unused_tcp_port: int) -> None:
    """Spans for an address where nobody listens: neither recording nor leaving hangs."""
    tracing.configure("sample", f"http://127.0.0.1:{unused_tcp_port}", ratio=1)
    tracer = tracing.tracer_for("sample")
    started = time.monotonic()
    for _ in range(3_000):
        with tracing.message_span(tracer, "consumer", "handle"):
            pass
    tracing.shutdown()
    assert time.monotonic() - started < 60


def test_shutdown_sends_what_is_left_and_forgets_the_service(otlp: OtlpReceiver) -> None:
    """The last spans arrive without a flush, and later ones go nowhere."""
    tracing.configure("sample", otlp.endpoint, ratio=1)
    with tracing.message_span(tracing.tracer_for("sample"), "consumer", "last"):
        pass
    tracing.shutdown()
    assert [span.name for span in otlp.spans] == ["last"]
    with tracing.message_span(tracing.tracer_for("sample"), "consumer", "too late") as span:
        assert not span.is_recording()


def test_every_kind_of_span_has_its_word() -> None:
    """The five words of `Kind` are OpenTelemetry's five kinds."""
    assert set(tracing.KINDS.values()) == set(SpanKind)
