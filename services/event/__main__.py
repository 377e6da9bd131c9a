"""Run the event service as a process of its own."""

from infra.runtime import run
from services.event.service import build
from services.event.settings import Settings

if __name__ == "__main__":
    run("event", build, Settings)
