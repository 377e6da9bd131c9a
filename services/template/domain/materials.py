"""Materials: the words for them, the sample type of each, and the cold that it needs.

A word that says more than its sample type is taken, and the loss is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from contracts.types import SampleType, Zone
from services.template.domain.numbers import squashed
from services.template.domain.table import Fault, listed
from services.template.domain.words import CACHED_WORDS_MAX, unheard


@dataclass(frozen=True, slots=True)
class Material:
    """What a word for a material means."""

    sample_type: SampleType
    zone: Zone
    """Where it is kept when nobody says."""
    exact: bool
    """Whether the type says as much as the word did."""


_WARMER: Final[Mapping[SampleType, Zone]] = {
    SampleType.BLOOD: Zone.REFRIGERATED,
    SampleType.SALIVA: Zone.FROZEN,
    SampleType.DNA: Zone.FROZEN,
}
"""Kept here when nobody says; all others are kept at -80 °C, where every material lasts."""

_SAME: Final[Mapping[SampleType, str]] = {
    SampleType.BLOOD: "whole blood, EDTA blood, blood EDTA, peripheral blood, venous blood",
    SampleType.SALIVA: "saliva sample, spit, oral fluid",
    SampleType.TISSUE: (
        "frozen tissue, fresh frozen tissue, fresh tissue, biopsy, tissue biopsy, "
        "tumor, tumour, tumor tissue, tumour tissue"
    ),
    SampleType.URINE: "urine sample",
    SampleType.DNA: (
        "gDNA, genomic DNA, genomic, cfDNA, cell free DNA, ctDNA, cDNA, dsDNA, ssDNA, mtDNA, "
        "HMW DNA, DNA extract, extracted DNA, purified DNA, plasmid, plasmid DNA, "
        "amplicon, PCR product"
    ),
    SampleType.RNA: (
        "total RNA, mRNA, messenger RNA, miRNA, micro RNA, small RNA, cfRNA, lncRNA, "
        "RNA extract, extracted RNA, purified RNA"
    ),
    SampleType.PLASMA: "blood plasma, EDTA plasma, plasma EDTA",
    SampleType.SERUM: "blood serum",
    SampleType.SWAB: (
        "buccal swab, cheek swab, nasal swab, nasopharyngeal swab, NP swab, oral swab, "
        "throat swab, skin swab, vaginal swab, rectal swab"
    ),
    SampleType.CELL_CULTURE: "cells, cell, cultured cells, cell line, cell pellet, cell suspension",
    SampleType.PROTEIN: "proteins, protein extract, protein lysate, lysate",
    SampleType.ENVIRONMENTAL: "environment, environmental sample",
}

_NARROWER: Final = (
    ("FFPE, FFPE tissue, FFPE block, paraffin block", SampleType.TISSUE, Zone.ROOM),
    ("dried blood spot, blood spot, DBS", SampleType.BLOOD, Zone.ROOM),
    ("PBMC, PBMCs, buffy coat", SampleType.BLOOD, Zone.ULTRA_LOW),
    ("soil, water, waste water, sediment, air", SampleType.ENVIRONMENTAL, Zone.ULTRA_LOW),
    ("stool, faeces, feces, fecal, faecal", SampleType.OTHER, Zone.ULTRA_LOW),
    ("CSF, cerebrospinal fluid, bone marrow, sputum", SampleType.OTHER, Zone.ULTRA_LOW),
)
"""Words that say more than the type they belong to, and may need another cold."""


def _same(sample_type: SampleType) -> Material:
    return Material(sample_type, _WARMER.get(sample_type, Zone.ULTRA_LOW), exact=True)


MATERIALS: Final[Mapping[str, Material]] = {
    **{squashed(t): _same(t) for t in SampleType},
    **{squashed(word): _same(t) for t, words in _SAME.items() for word in listed(words)},
    **{
        squashed(word): Material(t, zone, exact=False)
        for words, t, zone in _NARROWER
        for word in listed(words)
    },
}
"""Every word that is known, by its letters and digits."""

_LAST_EVERYWHERE: Final = frozenset(
    {SampleType.CELL_CULTURE, SampleType.ENVIRONMENTAL, SampleType.OTHER}
)
UNUSUAL: Final[Mapping[SampleType, frozenset[Zone]]] = {
    **{t: frozenset({Zone.INCUBATED}) for t in SampleType if t not in _LAST_EVERYWHERE},
    SampleType.PROTEIN: frozenset({Zone.ROOM, Zone.INCUBATED}),
    SampleType.RNA: frozenset(Zone) - {Zone.ULTRA_LOW},
}
"""Temperatures at which a material does not last: worth a second look, and not wrong."""


@lru_cache(maxsize=CACHED_WORDS_MAX)
def material(text: str, _hint: str) -> Material | Fault:
    """Read a sample type, or a common word for one."""
    found = MATERIALS.get(squashed(text))
    return found or unheard("sample_type", text, MATERIALS, allowed=SampleType)
