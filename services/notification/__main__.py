"""Run the notification service as a process of its own."""

from infra.runtime import run
from services.notification.service import build
from services.notification.settings import Settings

if __name__ == "__main__":
    run("notification", build, Settings)
