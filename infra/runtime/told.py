"""What every service of the laboratory can be told while it runs, its circuit breakers aside.

The base of each service's `Live` model. What is told is put into force by `infra.runtime.live`.
"""

from typing import Literal

from infra.config.live import LiveSettings


class Told(LiveSettings):
    """Subclasses add a service's own, with defaults."""

    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """From which level on lines are logged; null leaves what the process was started with. Where
    services share a process, the most talkative of them counts for all."""
