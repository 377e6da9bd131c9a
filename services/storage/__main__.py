"""Run the storage service as a process of its own."""

from infra.runtime import run
from services.storage.service import build
from services.storage.settings import Settings

if __name__ == "__main__":
    run("storage", build, Settings)
