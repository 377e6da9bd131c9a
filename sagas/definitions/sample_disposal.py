"""Samples are destroyed, once two people other than whoever asked have approved it.

While they are asked nobody can use the samples. What has changed meanwhile, such as a quarantine,
is looked at again before the first tube is taken out: that is the point of no return.
"""

from contracts.lab_processes import DisposeSamples
from contracts.notification import SendNotification, Template
from contracts.sample import (
    CheckDisposable,
    HoldKind,
    HoldSamples,
    MarkSamplesDisposed,
    RecordCustody,
    ReleaseHold,
)
from contracts.storage import RemoveSamples
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import approval, days, saga, seconds, step

FOUND_BY = {"reason": start("reason"), "witness": start("witnessed_by")}
HELD = {"hold_id": SAGA_ID, "kind": HoldKind.DISPOSAL}
APPROVED = {"approved_by": out("approve.by")}
DISPOSED = {
    "template": Template.SAMPLES_DISPOSED,
    "values": {
        "submission_id": SAGA_ID,
        "disposed": text("{}", out("mark.disposed")),
        "reason": start("reason"),
    },
}

# One step per line, so that the saga reads as a table.
# fmt: off
SAMPLE_DISPOSAL = saga("sample_disposal", version=1, starts_with=DisposeSamples, within=days(21), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("check",       ask=CheckDisposable,     kind=QUERY,       within=seconds(60)),
    step("hold",        ask=HoldSamples,         undo=ReleaseHold, within=seconds(60), given=HELD, undo_given={"hold_id": SAGA_ID}),  # noqa: E501 - one line per step
    approval("approve", needs=2, not_starter=True, allowed=start("approvers"), within=days(14)),
    step("recheck",     ask=CheckDisposable,     kind=QUERY,       within=seconds(60)),
    step("remove",      ask=RemoveSamples,       kind=PIVOT,       within=seconds(60)),
    step("custody",     ask=RecordCustody,       kind=RETRIABLE),
    step("mark",        ask=MarkSamplesDisposed, kind=RETRIABLE, given=APPROVED),
    step("notify",      ask=SendNotification,    kind=RETRIABLE, optional=True, given=DISPOSED),
)
# fmt: on
