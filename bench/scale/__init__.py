"""What grows and what must not: open sagas, one long history, and clocks by the hundred thousand.

Each part has a broker of its own. Logs are written directly, with what the engine decides and the
service would have appended: so much would take the service an hour. What is measured then is the
service, or the parts that it is made of.
"""

from bench.report import Report
from bench.scale.due import due_timers
from bench.scale.long_history import long_history
from bench.scale.open_sagas import open_sagas
from infra.telemetry import logs


async def run(scale: float) -> Report:
    """Run everything; `scale` is the share of 200,000 sagas, 100,000 entries, 100,000 timers."""
    # The broker is killed once, and each attempt to reconnect is a warning.
    logs.configure(level="error", fmt="console")
    report = Report("scale")
    await long_history(report, scale)
    await due_timers(report, scale)
    await open_sagas(report, scale)
    return report
