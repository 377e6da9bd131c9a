"""One HTTP request is one trace and one story, through every process that it sets to work."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.notification import ListNotifications
from contracts.sample import ListSamples
from contracts.transaction import TransactionStatus, TransactionView
from contracts.types import SubmissionId
from infra.clock import SYSTEM
from services import catalog
from tests.fixtures.manifests import manifest
from tests.fixtures.otlp import OtlpReceiver, ReceivedSpan
from tests.fixtures.system import SUBMISSIONS, Whole, whole_system

STORY = "one-trace"
ROOT = ("edge", "server", "POST /api/v1/submissions")
STEPS = {
    "validate": ("template", "template.validate_manifest"),
    "register": ("sample", "sample.register_many"),
    "reserve": ("storage", "storage.reserve_positions"),
    "store": ("storage", "storage.confirm_positions"),
    "mark": ("sample", "sample.mark_stored"),
    "notify": ("notification", "notification.send"),
}
"""Step of the saga -> who does it, and the command."""
PROJECTED = {
    "sample": "samples",
    "storage": "containers",
    "notification": "notifications",
    "transaction": "transactions",
    "event": "timeline_events",
}
"""Service -> a read model that the request changes."""
FURNISHED = ("/api/v1/storage/containers", "/api/v1/events")
"""Lists that change before the request is made."""


async def test_a_submission_is_one_connected_trace(tmp_path: Path) -> None:
    """From the edge over saga, participants and logs to the last call of a projector's database."""
    with OtlpReceiver() as otlp:
        told = {"TRACSEQ_OTLP_ENDPOINT": otlp.endpoint}
        async with whole_system(tmp_path, isolated=True, told=told, log_level="debug") as whole:
            await until_quiet(whole)
            answer = await whole.http.post(
                SUBMISSIONS,
                files={"file": ("traced.csv", manifest("TRACED", 3))},
                headers={"X-Correlation-Id": STORY, "Prefer": "wait=30"},
            )
            view = TransactionView.model_validate_json(answer.content)
            assert view.status is TransactionStatus.COMPLETED
            await until_projected(whole, view)
        # Every process has sent what was left when it was told to stop.
        (root,) = [s for s in otlp.spans if (s.service, s.kind, s.name) == ROOT]
        trace = [span for span in otlp.spans if span.trace_id == root.trace_id]

    expect_one_tree(trace, root)
    expect_steps_in_order(trace)
    expect_writes(trace)
    expect_connected_logs(tmp_path / "log", view, root.trace_id)


NOT_ASKED = {"config"}
"""Services that a submission needs nothing of."""


async def until_quiet(whole: Whole) -> None:
    """Wait until the lists show all that was furnished, and no more comes.

    A batch that holds changes of several requests belongs to the trace of the first.
    """
    seen: list[object] = []
    while True:
        answers = [(await whole.http.get(path)).json()["total"] for path in FURNISHED]
        if answers == seen and all(answers):
            return
        seen = answers
        await SYSTEM.sleep(1.0)


async def until_projected(whole: Whole, view: TransactionView) -> None:
    """Wait until the read models show the end: their last database calls are part of the trace."""
    submission = SubmissionId(view.transaction_id)
    query = ListSamples(submission_id=submission, min_seq=await whole.head("sample"))
    assert (await whole.edge.ask(query)).total == 3
    await whole.edge.ask(ListNotifications(min_seq=await whole.head("notification")))
    path = "/api/v1/events"
    while True:
        entries = (
            await whole.http.get(path, params={"correlation": STORY, "page_size": 100})
        ).json()
        if any(entry["type"] == "transaction.ended" for entry in entries["items"]):
            break
        await SYSTEM.sleep(0.05)
    # The other services' projectors follow the same events; a batch takes a few milliseconds.
    await SYSTEM.sleep(1.0)


def expect_one_tree(trace: Sequence[ReceivedSpan], root: ReceivedSpan) -> None:
    """Check that each span hangs on another one of the trace, and only the root on none."""
    ids = {span.span_id for span in trace}
    assert len(ids) == len(trace)
    assert root.parent_id == ""
    orphans = [span for span in trace if span is not root and span.parent_id not in ids]
    assert orphans == []
    assert {span.service for span in trace} == set(catalog.NAMES) - NOT_ASKED
    assert not [span for span in trace if span.failed]


def expect_steps_in_order(trace: Sequence[ReceivedSpan]) -> None:
    """Check that each step hangs on the one before: asked, done by its owner, answered."""
    by_id = {span.span_id: span for span in trace}

    def above(span: ReceivedSpan) -> Iterator[ReceivedSpan]:
        while span.parent_id in by_id:
            span = by_id[span.parent_id]
            yield span

    def one(service: str, name: str) -> ReceivedSpan:
        (found,) = [span for span in trace if (span.service, span.name) == (service, name)]
        return found

    before = one("transaction", "transaction.submit_manifest handle")
    assert [span.service for span in above(before)] == ["edge", "edge"]
    for step, (service, command) in STEPS.items():
        handled = one(service, f"{command} handle")
        answered = one("transaction", f"saga sample_intake {step} answered")
        assert before in above(handled)
        assert handled in above(answered)
        before = answered


def expect_writes(trace: Sequence[ReceivedSpan]) -> None:
    """Check that logs were appended to by handlers, and databases written by projectors."""
    names = {span.span_id: span.name for span in trace}
    for stream in ("LOG_SAMPLE", "LOG_STORAGE", "LOG_NOTIFICATION", "LOG_TRANSACTION"):
        appends = [span for span in trace if span.name == f"{stream} append"]
        assert appends, f"nothing was appended to {stream}"
        assert all(names[span.parent_id].endswith(" handle") for span in appends)
    assert [span for span in trace if span.name.startswith("SAGA_")]
    for service, read_model in PROJECTED.items():
        what = (service, f"project {read_model}")
        projected = [span.span_id for span in trace if (span.service, span.name) == what]
        calls = [span.parent_id for span in trace if span.kind == "client"]
        assert projected
        assert set(projected) <= set(calls), f"{what} without a database call"


def expect_connected_logs(folder: Path, view: TransactionView, trace_id: str) -> None:
    """Check that every line about the request says to which trace and story it belongs."""
    mine = [
        line
        for line in log_lines(folder)
        if {STORY, trace_id, str(view.transaction_id)} & set(map(str, line.values()))
    ]
    assert {line["service"] for line in mine} >= {"edge", "transaction"}
    for line in mine:
        assert (line.get("trace_id"), line.get("correlation_id")) == (trace_id, STORY), line


def log_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the JSON lines of every service."""
    for name in catalog.NAMES:
        for line in (folder / f"{name}.log").read_text(encoding="utf-8").splitlines():
            yield {"service": name, **json.loads(line)}
