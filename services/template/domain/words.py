"""The words of a manifest: priorities, analyses, and those that say nothing.

Words are compared by letters and digits alone, in any case. Guesses nothing: a word that is not
here is refused, with the nearest one that is.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from contracts.types import AnalysisType, Priority
from services.template.domain.numbers import squashed
from services.template.domain.table import Fault, listed

CACHED_WORDS_MAX = 4_096
"""Different spellings whose meaning is remembered; a manifest repeats a few."""
COMPARED_CHARACTERS_MAX = 40
LIKENESS_MIN = 0.75


NOTHING_KNOWN: Final = frozenset(
    listed(
        "-, --, ---, \u2013, \u2014, ?, ??, ., /, n/a, #n/a, na, n.a., n.a, n/d, nd, n.d., "
        "unknown, unk, not known, none, null, nil, tbd, tba, to be determined, missing, "
        "not available, not applicable, not determined, not measured, not recorded, not provided"
    )
)
"""What people write in a cell to say that there is nothing to write, in lower case."""

_PRIORITIES: Final[Mapping[str, Priority]] = {
    **{p.value: p for p in Priority},
    **dict.fromkeys(listed("standard, routine, regular, medium, default"), Priority.NORMAL),
    **dict.fromkeys(listed("rush, asap, stat, express"), Priority.URGENT),
    "emergency": Priority.CRITICAL,
}

_ANALYSES: Final[Mapping[AnalysisType, str]] = {
    AnalysisType.WGS: "whole genome, whole genome sequencing, genome",
    AnalysisType.WES: "whole exome, whole exome sequencing, exome, exome sequencing",
    AnalysisType.TARGETED_PANEL: "panel, targeted, gene panel, targeted sequencing",
    AnalysisType.RNA_SEQ: "RNA sequencing, mRNA-Seq, total RNA-Seq, transcriptome",
    AnalysisType.CHIP_SEQ: "ChIP, ChIP sequencing",
    AnalysisType.ATAC_SEQ: "ATAC, ATAC sequencing",
    AnalysisType.METHYLATION: "bisulfite, bisulfite-Seq, WGBS, RRBS, EM-Seq, Methyl-Seq",
    AnalysisType.AMPLICON: "amplicon sequencing, amplicon-Seq, 16S, 16S rRNA",
}

ANALYSES: Final[Mapping[str, AnalysisType]] = {
    **{squashed(a): a for a in AnalysisType},
    **{squashed(word): a for a, words in _ANALYSES.items() for word in listed(words)},
}


@lru_cache(maxsize=CACHED_WORDS_MAX)
def says_nothing(text: str) -> bool:
    """Say whether a cell says that its value is not known or does not apply."""
    return text.casefold() in NOTHING_KNOWN


@lru_cache(maxsize=CACHED_WORDS_MAX)
def priority(text: str, _hint: str) -> Priority | Fault:
    """Read a priority; numbers are refused, for 1 is the first to some and the least to others."""
    found = _PRIORITIES.get(squashed(text))
    return found or unheard("priority", text, _PRIORITIES, allowed=Priority)


@lru_cache(maxsize=CACHED_WORDS_MAX)
def analysis_type(text: str, _hint: str) -> AnalysisType | Fault:
    """Read an analysis, or a common word for one."""
    found = ANALYSES.get(squashed(text))
    return found or unheard("analysis_type", text, ANALYSES, allowed=AnalysisType)


def unheard(what: str, text: str, known: Iterable[str], *, allowed: Iterable[str]) -> Fault:
    """Refuse a word that is not known, and name the nearest that is."""
    spelt = squashed(text)[:COMPARED_CHARACTERS_MAX]
    near = difflib.get_close_matches(spelt, known, n=1, cutoff=LIKENESS_MIN)
    names = {squashed(name): name for name in allowed}
    hint = f"Did you mean '{names.get(near[0], near[0])}'? " if near else ""
    return Fault(
        f"{what}.unheard",
        f"This is no {what.replace('_', ' ')} known here.",
        f"{hint}Write one of {', '.join(names.values())}.",
    )
