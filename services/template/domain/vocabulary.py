"""The words of the bench: materials, temperatures, priorities, analyses, and what says nothing.

Words are compared by letters and digits alone, in any case. Guesses nothing: a word that is not here
is refused, with the nearest one that is.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from contracts.types import AnalysisType, Priority, SampleType, Zone
from services.template.domain.numbers import plain, squashed
from services.template.domain.table import Fault

CACHED_WORDS_MAX = 4_096
"""Different spellings whose meaning is remembered; a manifest repeats a few."""

NOTHING_KNOWN: Final = frozenset(
    {
        *(
            "-",
            "--",
            "---",
            "–",
            "—",
            "?",
            "??",
            ".",
            "/",
            "n/a",
            "#n/a",
            "na",
            "n.a.",
            "n.a",
            "n/d",
            "nd",
            "n.d.",
        ),
        *(
            "unknown",
            "unk",
            "unkn",
            "not known",
            "none",
            "null",
            "nil",
            "tbd",
            "tba",
            "to be determined",
            "missing",
        ),
        *(
            "not available",
            "not applicable",
            "not determined",
            "not measured",
            "not recorded",
            "not provided",
        ),
    }
)
"""What people write in a cell to say that there is nothing to write, in lower case."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a word for a material means."""

    sample_type: SampleType
    zone: Zone
    """Where it is kept when nobody says."""
    exact: bool
    """Whether the type says as much as the word did."""


_KEPT: Final[Mapping[SampleType, Zone]] = {
    SampleType.BLOOD: Zone.REFRIGERATED,
    SampleType.SALIVA: Zone.FROZEN,
    SampleType.TISSUE: Zone.ULTRA_LOW,
    SampleType.URINE: Zone.ULTRA_LOW,
    SampleType.DNA: Zone.FROZEN,
    SampleType.RNA: Zone.ULTRA_LOW,
    SampleType.PLASMA: Zone.ULTRA_LOW,
    SampleType.SERUM: Zone.ULTRA_LOW,
    SampleType.SWAB: Zone.ULTRA_LOW,
    SampleType.CELL_CULTURE: Zone.ULTRA_LOW,
    SampleType.PROTEIN: Zone.ULTRA_LOW,
    SampleType.ENVIRONMENTAL: Zone.ULTRA_LOW,
    SampleType.OTHER: Zone.ULTRA_LOW,
}

_MATERIALS: Final[Mapping[SampleType, tuple[str, ...]]] = {
    SampleType.BLOOD: (
        "whole blood",
        "EDTA blood",
        "blood EDTA",
        "peripheral blood",
        "venous blood",
        "buffy coat",
    ),
    SampleType.SALIVA: ("saliva sample", "spit", "oral fluid"),
    SampleType.TISSUE: (
        *("frozen tissue", "fresh frozen tissue", "fresh tissue", "biopsy", "tissue biopsy"),
        *("tumor", "tumour", "tumor tissue", "tumour tissue"),
    ),
    SampleType.URINE: ("urine sample",),
    SampleType.DNA: (
        *(
            "gDNA",
            "genomic DNA",
            "genomic",
            "cfDNA",
            "cell free DNA",
            "ctDNA",
            "cDNA",
            "dsDNA",
            "ssDNA",
            "mtDNA",
        ),
        *(
            "HMW DNA",
            "DNA extract",
            "extracted DNA",
            "purified DNA",
            "plasmid",
            "plasmid DNA",
            "amplicon",
            "PCR product",
        ),
    ),
    SampleType.RNA: (
        *(
            "total RNA",
            "mRNA",
            "messenger RNA",
            "miRNA",
            "micro RNA",
            "small RNA",
            "cfRNA",
            "lncRNA",
        ),
        *("RNA extract", "extracted RNA", "purified RNA"),
    ),
    SampleType.PLASMA: ("blood plasma", "EDTA plasma", "plasma EDTA"),
    SampleType.SERUM: ("blood serum",),
    SampleType.SWAB: (
        *(
            "buccal swab",
            "cheek swab",
            "nasal swab",
            "nasopharyngeal swab",
            "NP swab",
            "oral swab",
            "throat swab",
        ),
        *("skin swab", "vaginal swab", "rectal swab"),
    ),
    SampleType.CELL_CULTURE: (
        "cells",
        "cell",
        "cultured cells",
        "cell line",
        "cell pellet",
        "cell suspension",
    ),
    SampleType.PROTEIN: ("proteins", "protein extract", "protein lysate", "lysate"),
    SampleType.ENVIRONMENTAL: ("environment", "environmental sample"),
}

_GENERALISED: Final[Mapping[str, tuple[SampleType, Zone]]] = {
    **dict.fromkeys(
        ("FFPE", "FFPE tissue", "FFPE block", "paraffin block"), (SampleType.TISSUE, Zone.ROOM)
    ),
    **dict.fromkeys(("dried blood spot", "blood spot", "DBS"), (SampleType.BLOOD, Zone.ROOM)),
    "PBMC": (SampleType.BLOOD, Zone.ULTRA_LOW),
    "PBMCs": (SampleType.BLOOD, Zone.ULTRA_LOW),
    **dict.fromkeys(
        ("soil", "water", "waste water", "sediment", "air"),
        (SampleType.ENVIRONMENTAL, Zone.ULTRA_LOW),
    ),
    **dict.fromkeys(
        ("stool", "faeces", "feces", "fecal", "faecal"), (SampleType.OTHER, Zone.ULTRA_LOW)
    ),
    **dict.fromkeys(
        ("CSF", "cerebrospinal fluid", "bone marrow", "sputum"), (SampleType.OTHER, Zone.ULTRA_LOW)
    ),
}
"""Words that say more than the type they belong to."""

MATERIALS: Final[Mapping[str, Material]] = {
    **{squashed(t): Material(t, zone, exact=True) for t, zone in _KEPT.items()},
    **{
        squashed(word): Material(t, _KEPT[t], exact=True)
        for t, words in _MATERIALS.items()
        for word in words
    },
    **{squashed(word): Material(t, zone, exact=False) for word, (t, zone) in _GENERALISED.items()},
}

UNUSUAL: Final[Mapping[SampleType, frozenset[Zone]]] = {
    SampleType.RNA: frozenset({Zone.FROZEN, Zone.REFRIGERATED, Zone.ROOM, Zone.INCUBATED}),
    SampleType.PROTEIN: frozenset({Zone.ROOM, Zone.INCUBATED}),
    **{
        t: frozenset({Zone.INCUBATED})
        for t in SampleType
        if t
        not in {
            SampleType.RNA,
            SampleType.PROTEIN,
            SampleType.CELL_CULTURE,
            SampleType.ENVIRONMENTAL,
            SampleType.OTHER,
        }
    },
}
"""Temperatures at which a material does not last: worth a second look, and not wrong."""

_PRIORITIES: Final[Mapping[str, Priority]] = {
    **{p.value: p for p in Priority},
    **dict.fromkeys(("standard", "routine", "regular", "medium", "default"), Priority.NORMAL),
    **dict.fromkeys(("rush", "asap", "stat", "express"), Priority.URGENT),
    "emergency": Priority.CRITICAL,
}

_ANALYSES: Final[Mapping[str, AnalysisType]] = {
    **{squashed(a): a for a in AnalysisType},
    **dict.fromkeys(("wholegenome", "wholegenomesequencing", "genome"), AnalysisType.WGS),
    **dict.fromkeys(
        ("wholeexome", "wholeexomesequencing", "exome", "exomesequencing"), AnalysisType.WES
    ),
    **dict.fromkeys(
        ("panel", "targeted", "genepanel", "targetedsequencing"), AnalysisType.TARGETED_PANEL
    ),
    **dict.fromkeys(
        ("rnasequencing", "mrnaseq", "totalrnaseq", "transcriptome"), AnalysisType.RNA_SEQ
    ),
    **dict.fromkeys(("chip", "chipsequencing"), AnalysisType.CHIP_SEQ),
    **dict.fromkeys(("atac", "atacsequencing"), AnalysisType.ATAC_SEQ),
    **dict.fromkeys(
        ("bisulfite", "bisulfiteseq", "wgbs", "rrbs", "emseq", "methylseq"),
        AnalysisType.METHYLATION,
    ),
    **dict.fromkeys(("ampliconsequencing", "ampliconseq", "16s", "16srrna"), AnalysisType.AMPLICON),
}

_ZONES: Final[Mapping[str, Zone]] = {
    **dict.fromkeys(("ult", "ultralow", "ultralowfreezer"), Zone.ULTRA_LOW),
    **dict.fromkeys(("fridge", "refrigerator", "refrigerated"), Zone.REFRIGERATED),
    **dict.fromkeys(
        ("rt", "room", "roomtemperature", "roomtemp", "ambient", "ambienttemperature"), Zone.ROOM
    ),
    **dict.fromkeys(("incubator", "incubated"), Zone.INCUBATED),
}

_RANGES_C: Final = (
    (Decimal(-90), Decimal(-65), Zone.ULTRA_LOW),
    (Decimal(-30), Decimal(-15), Zone.FROZEN),
    (Decimal(2), Decimal(8), Zone.REFRIGERATED),
    (Decimal(15), Decimal(25), Zone.ROOM),
    (Decimal(36), Decimal(38), Zone.INCUBATED),
)
"""Degrees Celsius that belong to a zone, both ends included."""

_FRIDGE = re.compile(r"2\s*(?:°\s*C?)?\s*(?:-|to)\s*8\s*(?:°\s*)?C?", re.IGNORECASE)
_DEGREES = re.compile(
    r"((?:[+-]|minus\s)?\s*[0-9]{1,3}(?:[.,][0-9]{1,2})?)\s*(?:°|deg(?:rees?)?)?\s*(?:c|celsius)?(?:\s+freezer)?",
    re.IGNORECASE,
)
_SPACED_SIGN = re.compile(r"minus\s")
_ZONE_REMEDY = "Write one of -80, -20, 4, RT or 37 (°C)."


@lru_cache(maxsize=CACHED_WORDS_MAX)
def says_nothing(text: str) -> bool:
    """Say whether a cell says that its value is not known or does not apply."""
    return text.casefold() in NOTHING_KNOWN


@lru_cache(maxsize=CACHED_WORDS_MAX)
def material(text: str, _hint: str) -> Material | Fault:
    """Read a sample type, or a common word for one."""
    found = MATERIALS.get(squashed(text))
    return found or _unheard(
        "sample_type", "sample type", text, MATERIALS, [t.value for t in SampleType]
    )


@lru_cache(maxsize=CACHED_WORDS_MAX)
def priority(text: str, _hint: str) -> Priority | Fault:
    """Read a priority; numbers are refused, for 1 is the first to some and the least to others."""
    found = _PRIORITIES.get(squashed(text))
    return found or _unheard("priority", "priority", text, _PRIORITIES, [p.value for p in Priority])


@lru_cache(maxsize=CACHED_WORDS_MAX)
def analysis_type(text: str, _hint: str) -> AnalysisType | Fault:
    """Read an analysis, or a common word for one."""
    found = _ANALYSES.get(squashed(text))
    return found or _unheard(
        "analysis_type", "analysis", text, _ANALYSES, [a.value for a in AnalysisType]
    )


@lru_cache(maxsize=CACHED_WORDS_MAX)
def zone(text: str, _hint: str) -> Zone | Fault:
    """Read a storage temperature, by name or in degrees Celsius."""
    written = plain(text)
    by_name = _ZONES.get(squashed(text))
    if by_name is not None:
        return by_name
    if _FRIDGE.fullmatch(written):
        return Zone.REFRIGERATED
    found = _DEGREES.fullmatch(written)
    if found is None:
        return Fault(
            "storage_temperature.unheard",
            "This is no storage temperature known here.",
            _ZONE_REMEDY,
        )
    degrees = Decimal(_SPACED_SIGN.sub("-", found[1].lower()).replace(" ", "").replace(",", "."))
    for low, high, zone_of_range in _RANGES_C:
        if low <= degrees <= high:
            return zone_of_range
    return Fault(
        "storage_temperature.zone",
        f"Nothing is kept at {degrees} °C here.",
        _missing_minus(degrees),
    )


def _missing_minus(degrees: Decimal) -> str:
    meant = [low_zone.value for low, high, low_zone in _RANGES_C if low <= -degrees <= high]
    return (
        f"If {meant[0]} is meant, write the minus sign. {_ZONE_REMEDY}" if meant else _ZONE_REMEDY
    )


def _unheard(
    rule: str, what: str, text: str, known: Mapping[str, object], allowed: list[str]
) -> Fault:
    near = difflib.get_close_matches(squashed(text)[:40], known, n=1, cutoff=0.75)
    meant = next((a for a in allowed if near and squashed(a) == near[0]), None) or (
        near[0] if near else None
    )
    hint = f"Did you mean '{meant}'? " if meant else ""
    return Fault(
        f"{rule}.unheard",
        f"This is no {what} known here.",
        f"{hint}Write one of {', '.join(allowed)}.",
    )
