"""Metrics: the table is what is exposed, each service shows its own, samples lead to traces."""

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from infra.telemetry import metrics, tracing

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_every_family_of_the_table_is_exposed_under_its_name_with_its_help() -> None:
    """What the table promises is what Prometheus reads, also the names with unit and `_total`."""
    for family in metrics.FAMILIES:
        labels = dict.fromkeys(family.labels, "table")
        if family.kind == "counter":
            metrics.counter(family.name, **labels).inc()
        elif family.kind == "gauge":
            metrics.gauge(family.name, **labels).set(1)
    metrics.message_operation("table", "table").record("table", 0.1)
    metrics.http_operation("table", "table").record("table", 0.1)

    bodies = [metrics.exposition(service)[0].decode() for service in ("table", "transaction")]
    text = "\n".join(bodies)
    for family in metrics.FAMILIES:
        assert f"# HELP {family.name} {family.help}" in text
        assert f"# TYPE {family.name} {family.kind}" in text
    exposed = {metric.name for body in bodies for metric in parse(body)}
    ours = {name for name in exposed if name.startswith("tracseq_")}
    assert ours == {f.name.removesuffix("_total") for f in metrics.FAMILIES} | {
        "tracseq_build_info"
    }


def test_names_carry_their_unit_and_counters_their_total() -> None:
    """A histogram measures seconds and says so; a counter ends in `_total`; help is a sentence."""
    for family in metrics.FAMILIES:
        assert family.name.endswith("_seconds") == (family.unit == "seconds")
        assert (family.kind == "histogram") == (family.unit == "seconds")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.help.endswith(".")
        assert family.owner or "service" in family.labels


def test_a_service_shows_its_own_series_and_those_of_the_process() -> None:
    """Two services in one process do not show each other's, or a scraper would count all twice."""
    metrics.message_operation("alpha", "alpha.do").record("done", 0.01)
    metrics.message_operation("beta", "beta.do").record("done", 0.01)
    metrics.counter("tracseq_sagas_ended_total", saga_type="intake", status="completed").inc()

    body, content_type = metrics.exposition("alpha")
    text = body.decode()
    assert content_type.startswith("text/plain")
    assert 'service="alpha"' in text
    assert 'service="beta"' not in text
    assert "process_resident_memory_bytes" in text
    assert "tracseq_build_info{" in text
    assert "tracseq_sagas_ended_total" not in text
    assert "tracseq_sagas_ended_total" in metrics.exposition("transaction")[0].decode()
    assert 'service="beta"' in metrics.exposition("beta")[0].decode()


def test_an_operation_counts_by_outcome_and_times_all_of_them_together() -> None:
    """Two outcomes are two counters and one histogram."""
    operation = metrics.message_operation("gamma", "gamma.do")
    for outcome, seconds in (("done", 0.004), ("done", 0.004), ("refused", 4.0)):
        operation.record(outcome, seconds)

    labels = {"service": "gamma", "operation": "gamma.do"}
    assert metrics.value("tracseq_messages_total", outcome="done", **labels) == 2
    assert metrics.value("tracseq_messages_total", outcome="refused", **labels) == 1
    assert metrics.value("tracseq_messages_total", outcome="never", **labels) == 0
    assert metrics.value("tracseq_message_duration_seconds_count", **labels) == 3
    assert metrics.value("tracseq_message_duration_seconds_bucket", le="0.005", **labels) == 2


def test_a_sampled_trace_becomes_the_exemplar_of_its_duration() -> None:
    """OpenMetrics links the bucket to the trace; an unsampled one leaves no link."""
    tracer = tracing.tracer_for("delta")
    operation = metrics.http_operation("delta", "delta.get")
    with tracing.message_span(tracer, "server", "GET", SAMPLED):
        operation.record("200", 0.002)
    with tracing.message_span(tracer, "server", "GET", f"{SAMPLED[:-1]}0"):
        operation.record("200", 0.02)

    body, content_type = metrics.exposition("delta", OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    exemplars = {
        sample.labels["le"]: sample.exemplar.labels
        for family in openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call] # the library's
        for sample in family.samples
        if sample.exemplar
    }
    assert exemplars == {"0.0025": {"trace_id": "0af7651916cd43dd8448eb211c80319c"}}
    assert b"trace_id" not in metrics.exposition("delta")[0]


def test_a_name_that_is_not_in_the_table_is_refused_with_the_remedy() -> None:
    """A misspelt name fails where it is bound, not silently on a dashboard."""
    with pytest.raises(LookupError, match=r"no counter is named 'tracseq_nothing_total'.*FAMILIES"):
        metrics.counter("tracseq_nothing_total")
    with pytest.raises(LookupError, match="no gauge is named 'tracseq_log_appends_total'"):
        metrics.gauge("tracseq_log_appends_total", service="x")
    with pytest.raises(ValueError, match="label"):
        metrics.counter("tracseq_log_appends_total", servce="x")
