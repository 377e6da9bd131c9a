"""A run comes off its instrument: gates are checked, samples settled, results handed over.

Where the gates do not agree a person decides. Settling the samples is the point of no return; only
what passed is delivered. A verdict for which nobody decided in a week is withdrawn.
"""

from contracts.delivery import DeliverRun
from contracts.lab_processes import CompleteRun, RunDecision
from contracts.notification import SendNotification, Template
from contracts.qc import CheckAssignment, CheckQuality, CheckYield, GiveVerdict, WithdrawVerdict
from contracts.sequencing import ReadRunFolder, RunFolderIncomplete, SettleRun
from sagas.engine.conditions import all_of, any_of, equals, no
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.mapping import SAGA_ID, first_of, out, start, text
from sagas.engine.writing import days, minutes, parallel, saga, seconds, step, wait

FOUND_BY = {"run": start("run"), "folder": start("folder")}
GATES = {
    "yield_passed": out("amount.passed"),
    "quality_passed": out("quality.passed"),
    "assignment_passed": out("assignment.passed"),
}
DECIDED = {"verdict": first_of(out("review.verdict"), out("verdict.verdict"))}
IN_DOUBT = equals(out("verdict.in_doubt"), value=True)
PASSED = any_of(
    equals(out("review.verdict"), "passed"),
    all_of(no(IN_DOUBT), equals(out("verdict.verdict"), "passed")),
)
SETTLED = {
    "template": Template.RUN_SETTLED,
    "values": {
        "submission_id": SAGA_ID,
        "run": start("run"),
        "completed": text("{}", out("settle.completed")),
        "failed": text("{}", out("settle.failed")),
    },
}
WHOLE_FOLDER = Retry(
    40, backoff_seconds=30, backoff_seconds_max=900, also=(RunFolderIncomplete.spec.code,)
)
"""Instruments copy their folders for hours."""

# One step per line, so that the saga reads as a table.
# fmt: off
RUN_COMPLETION = saga("run_completion", version=1, starts_with=CompleteRun, within=days(8), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("folder",         ask=ReadRunFolder,    kind=QUERY,           within=minutes(10), retry=WHOLE_FOLDER),  # noqa: E501 - one line per step
    parallel(
        step("amount",     ask=CheckYield,       kind=QUERY,           within=minutes(5)),
        step("quality",    ask=CheckQuality,     kind=QUERY,           within=minutes(5)),
        step("assignment", ask=CheckAssignment,  kind=QUERY,           within=minutes(5)),
    ),
    step("verdict",        ask=GiveVerdict,      undo=WithdrawVerdict, within=seconds(60), given=GATES),  # noqa: E501 - one line per step
    wait("review",         signal="decision",    data=RunDecision,     within=days(7), allowed=start("reviewers"), when=IN_DOUBT),  # noqa: E501 - one line per step
    step("settle",         ask=SettleRun,        kind=PIVOT,           within=minutes(5), given=DECIDED),  # noqa: E501 - one line per step
    step("deliver",        ask=DeliverRun,       kind=RETRIABLE,       within=minutes(60), when=PASSED),  # noqa: E501 - one line per step
    step("notify",         ask=SendNotification, kind=RETRIABLE, optional=True, given=SETTLED),
)
# fmt: on
