"""Run the sample service as a process of its own."""

from infra.runtime import run
from services.sample.service import build
from services.sample.settings import Settings

if __name__ == "__main__":
    run("sample", build, Settings)
