"""Libraries come onto a flow cell and into the queue of an instrument, or everything is put back.

The queue is the point of no return: from there on the bench acts on the run. The bench has three
days to pipette the pool; volumes, tubes and flow cell are this run's for as long.
"""

from contracts.lab_processes import BeginRun, Pipetted
from contracts.library import (
    CheckIndexes,
    CheckLibraries,
    DissolvePool,
    PoolLibraries,
    PullLibraries,
    ReleaseVolumes,
    ReserveVolumes,
    ReturnLibraries,
)
from contracts.notification import SendNotification, Template
from contracts.sequencing import (
    BeginSamples,
    CheckRunEligible,
    GiveFlowCellBack,
    QueueRun,
    TakeFlowCell,
    VoidSampleSheet,
    WriteSampleSheet,
)
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import days, parallel, saga, seconds, step, wait

FOUND_BY = {
    "run": start("run"),
    "instrument": start("instrument"),
    "flow_cell": start("flow_cell"),
}
QUEUED = {
    "template": Template.RUN_QUEUED,
    "values": {
        "submission_id": SAGA_ID,
        "run": start("run"),
        "instrument": start("instrument"),
        "place": text("{}", out("queue.place")),
    },
}

# One step per line, so that the saga reads as a table.
# fmt: off
SEQUENCING_RUN = saga("sequencing_run", version=1, starts_with=BeginRun, within=days(4), attributes=FOUND_BY)(  # noqa: E501 - one line per step
    step("eligible",      ask=CheckRunEligible, kind=QUERY,            within=seconds(60)),
    step("volumes",       ask=ReserveVolumes,   undo=ReleaseVolumes,   within=seconds(60)),
    step("pull",          ask=PullLibraries,    undo=ReturnLibraries,  within=seconds(60)),
    parallel(
        step("libraries", ask=CheckLibraries,   kind=QUERY,            within=seconds(60)),
        step("indexes",   ask=CheckIndexes,     kind=QUERY,            within=seconds(60)),
    ),
    step("pool",          ask=PoolLibraries,    undo=DissolvePool,     within=seconds(60)),
    wait("pipetted",      signal="pooled",      data=Pipetted,         within=days(3)),
    step("flow_cell",     ask=TakeFlowCell,     undo=GiveFlowCellBack, within=seconds(60)),
    step("sheet",         ask=WriteSampleSheet, undo=VoidSampleSheet,  within=seconds(60)),
    step("queue",         ask=QueueRun,         kind=PIVOT,            within=seconds(60)),
    step("begin",         ask=BeginSamples,     kind=RETRIABLE),
    step("notify",        ask=SendNotification, kind=RETRIABLE, optional=True, given=QUEUED),
)
# fmt: on
