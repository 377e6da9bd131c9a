"""The rules of samples, pure: what a sample is and may become, who bears a barcode, what holds it.

`sample`, `barcode`, `submission` and `holds` are aggregates; `life`, `genealogy` and `custody`
decide on samples, `fitness` on many at once. Nothing here reads a clock, makes an id or talks to
anyone.
"""

from services.sample.domain.barcode import (
    BARCODE,
    BarcodeClaim,
    ClaimUndecided,
    claim,
    evolve_claim,
    fresh,
    release,
)
from services.sample.domain.life import (
    NEXT,
    change_status,
    discard,
    dispose,
    mark_stored,
    register,
    withdraw,
)
from services.sample.domain.sample import SAMPLE, Sample, evolve_sample
from services.sample.domain.submission import (
    SUBMISSION,
    Submission,
    evolve_submission,
    register_part,
    withdraw_submission,
)

__all__ = [
    "BARCODE",
    "NEXT",
    "SAMPLE",
    "SUBMISSION",
    "BarcodeClaim",
    "ClaimUndecided",
    "Sample",
    "Submission",
    "change_status",
    "claim",
    "discard",
    "dispose",
    "evolve_claim",
    "evolve_sample",
    "evolve_submission",
    "fresh",
    "mark_stored",
    "register",
    "register_part",
    "release",
    "withdraw",
    "withdraw_submission",
]
