"""Raw facts from the bench, told by instruments, sensors and people. Nobody decides on them."""

from typing import Annotated

from pydantic import Field

from contracts.message import LabEvent
from contracts.types import Barcode, Celsius, Name, Text


class TemperatureRead(LabEvent, type="sensor.temperature_read", needs="events:publish"):
    """A probe read a temperature."""

    sensor: Name
    celsius: Celsius


class BarcodeScanned(LabEvent, type="scanner.barcode_scanned", needs="events:publish"):
    """Somebody scanned a tube."""

    scanner: Name
    barcode: Barcode


class RunStarted(LabEvent, type="instrument.run_started", needs="events:publish"):
    """A sequencer began a run."""

    instrument: Name
    run: Name
    flow_cell: Name


class RunProgressed(LabEvent, type="instrument.run_progressed", needs="events:publish"):
    """A sequencer finished a cycle."""

    instrument: Name
    run: Name
    cycle: Annotated[int, Field(ge=1)]
    cycles_total: Annotated[int, Field(ge=1)]


class RunFinished(LabEvent, type="instrument.run_finished", needs="events:publish"):
    """A sequencer finished a run."""

    instrument: Name
    run: Name
    yield_gb: Annotated[float, Field(ge=0)]


class NoteTaken(LabEvent, type="person.note_taken", needs="events:publish"):
    """Somebody wrote down what they saw."""

    text: Text
