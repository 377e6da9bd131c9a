"""One sample comes in by form: it is registered and stored, or nothing happens at all."""

from contracts.lab_processes import SubmitSample
from contracts.notification import SendNotification, Template
from contracts.sample import (
    MarkSamplesStored,
    PrepareSubmission,
    RegisterSamples,
    WithdrawSamples,
)
from contracts.storage import ConfirmPositions, ReleasePositions, ReservePositions
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, start
from sagas.engine.writing import minutes, saga, seconds, step

FOUND_BY = {"barcode": start("details.barcode"), "name": start("details.name")}
STORED = {
    "template": Template.SAMPLE_STORED,
    "values": {"submission_id": SAGA_ID, "barcode": start("details.barcode")},
}

# One step per line, so that the saga reads as a table.
# fmt: off
SAMPLE_SUBMISSION = saga("sample_submission", version=1, starts_with=SubmitSample, within=minutes(30), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("prepare",  ask=PrepareSubmission, kind=QUERY,            within=seconds(60)),
    step("register", ask=RegisterSamples,   undo=WithdrawSamples,  within=seconds(60)),
    step("reserve",  ask=ReservePositions,  undo=ReleasePositions, within=seconds(60)),
    step("store",    ask=ConfirmPositions,  kind=PIVOT,            within=seconds(60)),
    step("mark",     ask=MarkSamplesStored, kind=RETRIABLE),
    step("notify",   ask=SendNotification,  kind=RETRIABLE, optional=True, given=STORED),
)
# fmt: on
