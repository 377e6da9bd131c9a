"""Samples are carried to another place, together, and each one's chain of custody says so.

Their positions at the target are held first. Whoever carries them reads the temperature there; the
check and the move both refuse a target that does not have the one it should.
"""

from contracts.lab_processes import TransferSamples
from contracts.notification import SendNotification, Template
from contracts.sample import CheckMovable, RecordCustody
from contracts.storage import CheckTransfer, MoveSamples, ReleasePositions, ReserveTransfer
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import minutes, saga, seconds, step

FOUND_BY = {
    "target": start("target_id"),
    "reason": start("reason"),
    "witness": start("witnessed_by"),
}
MADE = {
    "template": Template.TRANSFER_MADE,
    "values": {
        "submission_id": SAGA_ID,
        "carried": text("{}", out("move.carried")),
        "path": out("check.path"),
    },
}

# One step per line, so that the saga reads as a table.
# fmt: off
STORAGE_TRANSFER = saga("storage_transfer", version=1, starts_with=TransferSamples, within=minutes(30), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("select",  ask=CheckMovable,     kind=QUERY,            within=seconds(60)),
    step("check",   ask=CheckTransfer,    kind=QUERY,            within=seconds(60)),
    step("reserve", ask=ReserveTransfer,  undo=ReleasePositions, within=seconds(60)),
    step("move",    ask=MoveSamples,      kind=PIVOT,            within=seconds(60)),
    step("custody", ask=RecordCustody,    kind=RETRIABLE),
    step("notify",  ask=SendNotification, kind=RETRIABLE, optional=True, given=MADE),
)
# fmt: on
