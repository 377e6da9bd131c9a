"""Write down through whose hands samples went. No rule of the laboratory stands here."""

from pydantic import TypeAdapter

from contracts.aggregate import Decide
from contracts.sample import CustodyRecorded, RecordCustody
from contracts.storage import Handover
from infra.bus.context import Context
from infra.bus.files import Files
from services.sample.domain import Sample, custody
from services.sample.handlers.logs import Samples
from services.sample.handlers.many import SAMPLES_AT_ONCE

_HANDOVERS = TypeAdapter(list[Handover])


async def on_record(
    command: RecordCustody, context: Context, *, samples: Samples, files: Files
) -> CustodyRecorded:
    """Record the handover of every sample that was carried."""
    carried = _HANDOVERS.validate_json(await files.get(command.handovers))
    for start in range(0, len(carried), SAMPLES_AT_ONCE):
        part = carried[start : start + SAMPLES_AT_ONCE]
        changes = [samples.samples.change(one.sample_id, _recorded(one, command)) for one in part]
        await samples.log.transact(changes, context)
    return CustodyRecorded(recorded=len(carried))


def _recorded(one: Handover, command: RecordCustody) -> Decide[Sample]:
    return lambda current: custody.record(current, one, command)
