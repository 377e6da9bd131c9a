"""The keys of a laboratory of one's own: a ring made once, each service's keys at every start.

All of it lies below the data folder, readable by its owner alone. Where a ring was named from
outside, that one is used and none is made.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from contracts.config_types import config_name
from infra.config.keyring import Keyring

RING_FILE = "TRACSEQ_CONFIG_KEYRING_FILE"
KEYS_DIR = "TRACSEQ_CONFIG_KEYS_DIR"
SNAPSHOT_DIR = "TRACSEQ_CONFIG_SNAPSHOT_DIR"
FOLDER = "config"


def prepare(data: Path, services: Iterable[str]) -> dict[str, str]:
    """Make what is missing below a data folder, and give what the services are told of it.

    Raises:
        KeyFileError: a file of keys cannot be used; the text names it.
    """
    told = {SNAPSHOT_DIR: str(data / FOLDER / "snapshots")}
    if os.environ.get(RING_FILE):
        return told
    file, folder = data / FOLDER / "ring.json", data / FOLDER / "keys"
    ring = Keyring.load(file) if file.exists() else Keyring.make(file)
    for name in map(config_name, services):
        ring.service_keys(name).save(folder / f"{name}.json")
    return told | {RING_FILE: str(file), KEYS_DIR: str(folder)}
