"""What is allowed in a row and worth a second look: it becomes a warning, never a problem."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from contracts.types import SampleType, normalise_barcode
from services.template.domain.columns import (
    CONCENTRATION,
    SAMPLE_TYPE,
    STORAGE_TEMPERATURE,
    Column,
)
from services.template.domain.materials import UNUSUAL, Material
from services.template.domain.table import Fault

DNA_VISCOUS_NG_PER_UL: Final = Decimal(1_000)
"""Above this genomic DNA is too viscous to be pipetted exactly."""


def second_looks(
    values: Mapping[str, object], material: Material
) -> Iterator[tuple[Column, Fault]]:
    """Find what is unusual in the values of one row, each with the column it is about."""
    name = material.sample_type.value
    if not material.exact:
        fault = Fault(
            "sample_type.generalised", f"It is taken as {name}.", "Say more in the notes."
        )
        yield SAMPLE_TYPE, fault
    temperature = _temperature(values.get(STORAGE_TEMPERATURE.field), material)
    if temperature is not None:
        yield STORAGE_TEMPERATURE, temperature
    concentration = values.get(CONCENTRATION.field)
    is_dna = material.sample_type is SampleType.DNA
    if is_dna and isinstance(concentration, Decimal) and concentration > DNA_VISCOUS_NG_PER_UL:
        yield (
            CONCENTRATION,
            Fault(
                "concentration.viscous",
                f"DNA above {DNA_VISCOUS_NG_PER_UL:,} ng/µL is hard to pipette exactly.",
                "Check the unit; dilute the sample before it is used.",
            ),
        )


def _temperature(zone: object, material: Material) -> Fault | None:
    name = material.sample_type.value
    if zone is None:
        return Fault(
            "storage_temperature.assumed",
            f"No storage temperature is given; {material.zone.value} is assumed for {name}.",
            "Write the temperature if it is another.",
        )
    if zone in UNUSUAL.get(material.sample_type, ()):
        problem = f"{name} is usually kept at {material.zone.value}."
        return Fault("storage_temperature.unusual", problem, "Check the temperature.")
    return None


def changed_barcode(text: str) -> Fault | None:
    """Warn where the barcode that is kept is not what the cell shows, but for its case."""
    code = str(normalise_barcode(text))
    if code == text.upper():
        return None
    return Fault(
        "barcode.changed",
        "The cell holds spaces or characters that cannot be seen, or are not what they seem; "
        f"the barcode is taken as {code}.",
        "Check that this is what the tube's label says.",
    )
