"""The files of manifests: what was uploaded, read into a table, and the valid rows, for others.

Files lie in the object store, named by their content. Workbooks are read by a process of their own
(`workbook.py`), so that no file can take the service with it. What a row means is not known here.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import TypeAdapter

from contracts.template import ManifestRow
from contracts.types import FileRef
from infra.bus.files import Files
from services.template.domain import kinds, layout, text
from services.template.domain.kinds import Kind
from services.template.domain.table import Table, unreadable
from services.template.store.reader import read_workbook

ResultT = TypeVar("ResultT")

_ROWS: TypeAdapter[Sequence[ManifestRow]] = TypeAdapter(Sequence[ManifestRow])


class ManifestFiles:
    """Manifests in the object store."""

    def __init__(self, files: Files, *, bytes_max: int, readings_max: int) -> None:
        """Use an object store; `readings_max` manifests are read at once, others wait."""
        self._files = files
        self._bytes_max = bytes_max
        self._readings = asyncio.Semaphore(readings_max)

    async def read(
        self, ref: FileRef, sheet: str | None, use: Callable[[Table], ResultT]
    ) -> ResultT:
        """Read a manifest and do something long with it, outside the event loop.

        Raises:
            Refused: the file cannot be read as a manifest, or is not there.
            BrokerUnavailable: the object store does not answer.
        """
        if ref.size_bytes > self._bytes_max:
            raise unreadable(
                ref.name,
                "file.too_large",
                f"The file has {ref.size_bytes:,} bytes; at most {self._bytes_max:,} are read.",
                "Remove pictures and other sheets, or split it.",
            )
        async with self._readings:
            data = await self._files.get(ref)
            return await asyncio.to_thread(lambda: use(read_table(ref.name, data, sheet)))

    async def keep(self, rows: Sequence[ManifestRow], *, of: FileRef) -> FileRef:
        """Keep the valid rows of a manifest as a JSON list.

        Raises:
            BrokerUnavailable: the object store does not take them.
        """
        data = await asyncio.to_thread(_ROWS.dump_json, rows)
        return await self._files.put(
            data, name=f"{of.name[:240]}.rows.json", media_type="application/json"
        )


def read_table(file: str, data: bytes, sheet: str | None) -> Table:
    """Read a file of any known kind; takes up to seconds.

    Raises:
        Refused: it cannot be read as a manifest.
    """
    kind = kinds.kind_of(file, data)
    if kind is Kind.WORKBOOK:
        sheets = read_workbook(file, data, sheet)
        return layout.table(file, sheets, sheet, spreadsheet=True)
    if sheet is not None:
        raise layout.sheet_not_found(file, sheet, [])
    content, remarks = text.decode(file, data)
    read = text.read_json if kind is Kind.JSON else text.read_csv
    return layout.table(file, [read(file, content)], None, spreadsheet=False, remarks=remarks)
