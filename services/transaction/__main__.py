"""Run the transaction service as a process of its own."""

from infra.runtime import run
from services.transaction.service import build
from services.transaction.settings import Settings

if __name__ == "__main__":
    run("transaction", build, Settings)
