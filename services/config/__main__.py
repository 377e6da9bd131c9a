"""Run the config service as a process of its own."""

from infra.runtime import run
from services.config.service import build
from services.config.settings import Settings

if __name__ == "__main__":
    run("config", build, Settings)
