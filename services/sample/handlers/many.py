"""Commands on many samples: which they name, how they are written down, how they are split.

No rule of the laboratory stands here.
"""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import TypeAdapter

from contracts.errors import Refused
from contracts.sample import SAMPLES_LISTED_MAX, TooManySamples
from contracts.template import ManifestRow
from contracts.types import FileRef, SampleId
from infra.bus.files import Files
from services.sample.domain import Sample

SAMPLES_AT_ONCE = 900
"""Samples of one atomic batch, which holds 1,000 entries: room is left for what goes with them."""

SAMPLE_IDS = TypeAdapter(list[SampleId])
ROWS = TypeAdapter(list[ManifestRow])


async def named(
    files: Files, sample_ids: Sequence[SampleId], sample_list: FileRef | None
) -> list[SampleId]:
    """Give every sample that a command names, by itself and in a file, each once.

    Raises:
        Refused: they are more than `SAMPLES_LISTED_MAX`, or there is no such file.
    """
    listed: list[SampleId] = []
    if sample_list is not None:
        listed = SAMPLE_IDS.validate_json(await files.get(sample_list))
    found = list(dict.fromkeys([*sample_ids, *listed]))
    if len(found) > SAMPLES_LISTED_MAX:
        raise Refused(TooManySamples(count=len(found), count_max=SAMPLES_LISTED_MAX))
    return found


def parts(sample_ids: Sequence[SampleId]) -> Iterator[Sequence[SampleId]]:
    """Split samples into parts of one atomic batch each."""
    for start in range(0, len(sample_ids), SAMPLES_AT_ONCE):
        yield sample_ids[start : start + SAMPLES_AT_ONCE]


async def keep_ids(files: Files, sample_ids: Iterable[SampleId]) -> FileRef:
    """Write sample ids down."""
    return await files.put(SAMPLE_IDS.dump_json(list(sample_ids)), name="samples.json")


async def keep_rows(files: Files, samples: Iterable[Sample]) -> FileRef:
    """Write samples down as the rows of a manifest, so that storage can read them."""
    rows = [
        ManifestRow(row=number, sample_id=sample.sample_id, details=sample.details)
        for number, sample in enumerate(samples, start=1)
    ]
    return await files.put(ROWS.dump_json(rows), name="rows.json")
