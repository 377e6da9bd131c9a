"""A manifest comes in row by row: what can be taken is stored, and each row says its outcome.

Rows that cannot be taken are named by the validation; those that were overtaken by another import
since then, by the registration. Without `partial` one of them takes all back. Where the
registration refused every row there is nothing to store, and the import is complete.
"""

from contracts.lab_processes import ImportManifest
from contracts.notification import SendNotification, Template
from contracts.sample import ImportSamples, MarkSamplesStored, WithdrawSamples
from contracts.storage import ConfirmPositions, ReleasePositions, ReservePositions
from contracts.template import ValidateManifest
from sagas.engine.conditions import exceeds
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import minutes, saga, seconds, step

FOUND_BY = {"file": start("file.name"), "sha256": start("file.sha256")}
ANY = exceeds(out("register.registered"), 0)
FINISHED = {
    "template": Template.IMPORT_FINISHED,
    "values": {
        "submission_id": SAGA_ID,
        "file": start("file.name"),
        "registered": text("{}", out("register.registered")),
        "refused": text(
            "{} at validation and {} at registration",
            out("validate.rejected"),
            out("register.refused"),
        ),
    },
}

# One step per line, so that the saga reads as a table.
# fmt: off
BULK_IMPORT = saga("bulk_import", version=1, starts_with=ImportManifest, within=minutes(60), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("validate", ask=ValidateManifest,  kind=QUERY,            within=seconds(120)),
    step("register", ask=ImportSamples,     undo=WithdrawSamples,  within=seconds(300)),
    step("reserve",  ask=ReservePositions,  undo=ReleasePositions, within=seconds(120), when=ANY),
    step("store",    ask=ConfirmPositions,  kind=PIVOT,            within=seconds(120), when=ANY),
    step("mark",     ask=MarkSamplesStored, kind=RETRIABLE,        within=seconds(300), when=ANY),
    step("notify",   ask=SendNotification,  kind=RETRIABLE, optional=True, given=FINISHED),
)
# fmt: on
