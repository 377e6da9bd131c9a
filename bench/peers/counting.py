"""What a process of watchers tells: the time at which all its clients had a number.

Standard library only: it runs in the peers' environment as well.
"""

import json
import sys
import time


class Counting:
    """Counts its clients by the newest number that each has."""

    def __init__(self, clients: int) -> None:
        """Expect so many clients."""
        self._newest = [0] * clients
        self._told = 0

    def saw(self, client: int, number: int) -> None:
        """Note a number; where it is the last client that lacked it, say so."""
        self._newest[client] = max(self._newest[client], number)
        all_have = min(self._newest)
        if all_have > self._told:
            self._told = all_have
            tell({"seen": all_have, "at": time.monotonic()})


def tell(document: dict[str, object]) -> None:
    """Print one line to whoever runs this process."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
