"""Run the template service as a process of its own."""

from infra.runtime import run
from services.template.service import build
from services.template.settings import Settings

if __name__ == "__main__":
    run("template", build, Settings)
