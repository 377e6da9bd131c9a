"""Run the edge as a process of its own."""

from infra.runtime import run
from services.edge.service import build
from services.edge.settings import Settings

if __name__ == "__main__":
    run("edge", build, Settings)
