"""`tracseq saga`: the processes that span services; look at them, check them, tell them what to do.

Every command asks the edge, as anybody could; those that read files need no system at all.
"""

from services.cli.commands import Group, Part

_HERE = "services.cli.saga"
GROUP = Group(
    "saga",
    "Transactions that span services (sagas): look, check, replay, and give orders.",
    (
        Part(f"{_HERE}.listing", ("list",)),
        Part(f"{_HERE}.show", ("show", "state")),
        Part(f"{_HERE}.diagram", ("diagram", "types")),
        Part(f"{_HERE}.export", ("export",)),
        Part(f"{_HERE}.verify", ("verify",)),
        Part(f"{_HERE}.replay", ("replay",)),
        Part(f"{_HERE}.what_if", ("what-if",)),
        Part(f"{_HERE}.lint", ("lint",)),
        Part(
            f"{_HERE}.orders",
            (
                *("pause", "resume", "cancel", "compensate"),
                *("retry", "skip", "complete", "migrate"),
            ),
        ),
        Part(f"{_HERE}.signals", ("signal", "approve")),
        Part(f"{_HERE}.fork", ("fork",)),
        Part(f"{_HERE}.bulk", ("orders",)),
        Part(f"{_HERE}.archive", ("archive",)),
        Part(f"{_HERE}.rebuild", ("rebuild",)),
    ),
)
