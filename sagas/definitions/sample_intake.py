"""A laboratory's manifest becomes stored samples, or nothing happens at all."""

from contracts.notification import SendNotification, Template
from contracts.sample import MarkSamplesStored, RegisterSamples, WithdrawSamples
from contracts.storage import ConfirmPositions, ReleasePositions, ReservePositions
from contracts.template import ValidateManifest
from contracts.transaction import SubmitManifest
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import saga, seconds, step

STORED = {
    "template": Template.SUBMISSION_STORED,
    "values": {
        "submission_id": SAGA_ID,
        "accepted": text("{}", out("validate.accepted")),
        "file": start("file.name"),
    },
    "emails": start("emails"),
}

# One step per line, so that the saga reads as a table.
# fmt: off
SAMPLE_INTAKE = saga("sample_intake", version=1, starts_with=SubmitManifest)(
    step("validate", ask=ValidateManifest,  kind=QUERY,            within=seconds(60)),
    step("register", ask=RegisterSamples,   undo=WithdrawSamples,  within=seconds(60), retry=Retry(3, backoff_seconds=0.2)),  # noqa: E501 - one line per step
    step("reserve",  ask=ReservePositions,  undo=ReleasePositions, within=seconds(60)),
    step("store",    ask=ConfirmPositions,  kind=PIVOT,            within=seconds(60)),
    step("mark",     ask=MarkSamplesStored, kind=RETRIABLE),
    step("notify",   ask=SendNotification,  kind=RETRIABLE, optional=True, given=STORED),
)
# fmt: on
