"""A place left its temperature: its samples are held, and a person decides what becomes of them.

The hold is the point of no return: neither an alert that cannot be sent nor a reviewer who does
not answer lets harmed samples back into use. After a day without a decision it is asked for again;
after a week the saga is a matter for whoever runs the laboratory, and the samples stay on hold.
"""

from contracts.lab_processes import ExcursionDecision, ReportExcursion
from contracts.notification import SendNotification, Template
from contracts.sample import DiscardSamples, HoldKind, HoldSamples, ReleaseHold
from contracts.storage import FindAffected
from sagas.engine.conditions import equals, exceeds
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import days, saga, seconds, step, wait

FOUND_BY = {
    "container": start("container_id"),
    "location": start("location_id"),
    "zone": start("zone"),
}
ANY = exceeds(out("find.samples"), 0)
RELEASED = equals(out("review.outcome"), "released")
DISCARDED = equals(out("review.outcome"), "discarded")

# The list names all samples, however many; those that the answer names itself are among them.
HELD: dict[str, object] = {"hold_id": SAGA_ID, "kind": HoldKind.QUARANTINE, "sample_ids": []}
# Those that lie under the hold, and nobody else: some may have been released from it by hand.
UNDER_HOLD: dict[str, object] = {"hold_id": SAGA_ID, "sample_ids": [], "sample_list": None}
TOLD = {
    "submission_id": SAGA_ID,
    "path": out("find.path"),
    "samples": text("{}", out("find.samples")),
}
ALERT = {"template": Template.EXCURSION_ALERT, "values": {**TOLD, "reason": start("reason")}}
CLOSED = {
    "template": Template.EXCURSION_CLOSED,
    "values": {**TOLD, "outcome": out("review.outcome")},
}
DAILY = Retry(7)

# One step per line, so that the saga reads as a table.
# fmt: off
EXCURSION_RESPONSE = saga("excursion_response", version=1, starts_with=ReportExcursion, within=days(8), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("find",       ask=FindAffected,     kind=QUERY,     within=seconds(60)),
    step("quarantine", ask=HoldSamples,      kind=PIVOT,     within=seconds(300), given=HELD, when=ANY),  # noqa: E501 - one line per step
    step("alert",      ask=SendNotification, kind=RETRIABLE, optional=True, given=ALERT),
    wait("review",     signal="decision",    kind=RETRIABLE, data=ExcursionDecision, within=days(1), retry=DAILY, allowed=start("reviewers"), when=ANY),  # noqa: E501 - one line per step
    step("release",    ask=ReleaseHold,      kind=RETRIABLE, given={"hold_id": SAGA_ID}, when=RELEASED),  # noqa: E501 - one line per step
    step("discard",    ask=DiscardSamples,   kind=RETRIABLE, given=UNDER_HOLD, when=DISCARDED),
    step("notify",     ask=SendNotification, kind=RETRIABLE, optional=True, given=CLOSED, when=ANY),
)
# fmt: on
