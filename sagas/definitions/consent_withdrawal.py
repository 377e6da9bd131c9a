"""Consent was withdrawn: the samples and all that was made of them can be used no more.

The hold is the point of no return, since a withdrawal is never taken back by the laboratory. It
follows what is being made while it is placed; a sample on hold is neither pooled nor sequenced.
"""

from contracts.lab_processes import WithdrawConsent
from contracts.notification import SendNotification, Template
from contracts.sample import FindDescendants, HoldKind, HoldSamples
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import minutes, saga, seconds, step

FOUND_BY = {"reason": start("reason")}
# The list names all samples, however many; those that the answer names itself are among them.
HELD: dict[str, object] = {
    "hold_id": SAGA_ID,
    "kind": HoldKind.CONSENT,
    "sample_ids": [],
    "with_descendants": True,
}
WITHDRAWN = {
    "template": Template.CONSENT_WITHDRAWN,
    "values": {
        "submission_id": SAGA_ID,
        "held": text("{}", out("hold.held")),
        "reason": start("reason"),
    },
}

# One step per line, so that the saga reads as a table.
# fmt: off
CONSENT_WITHDRAWAL = saga("consent_withdrawal", version=1, starts_with=WithdrawConsent, within=minutes(60), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("find",   ask=FindDescendants,  kind=QUERY,     within=seconds(120)),
    step("hold",   ask=HoldSamples,      kind=PIVOT,     within=seconds(300), given=HELD),
    step("notify", ask=SendNotification, kind=RETRIABLE, optional=True, given=WITHDRAWN),
)
# fmt: on
