"""Timers that need not be armed yet: most steps are answered long before theirs would fire.

One that is due far away waits here for a moment, and is forgotten where its saga goes on meanwhile.
It is a memory and loses everything with its process; who relies on it knows what finds the rest.
Nothing is sent from here.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from infra.bus.context import Context
from sagas.engine.decision import Timer

WAIT_SECONDS = 1.0
"""How long a timer waits for its saga to go on without it."""
FAR_SECONDS = 10.0
"""What is due sooner is armed at once."""
WAITING_MAX = 10_000
"""Timers that wait at once; one more is armed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Armed:
    """A timer to be armed, and on whose behalf."""

    saga_id: UUID
    timer: Timer
    context: Context


class Later:
    """The timers that wait."""

    def __init__(self) -> None:
        """Start with none."""
        self._of: dict[UUID, dict[str, Armed]] = {}
        self._order: deque[tuple[float, str, Armed]] = deque()

    def put(self, slot: str, armed: Armed, *, now_seconds: float) -> bool:
        """Keep a timer in place of what its saga has in the same slot; False where it cannot wait.

        `now_seconds` is of a clock that never goes back.
        """
        far = (armed.timer.due_at - armed.context.now).total_seconds() >= FAR_SECONDS
        if not far or len(self._order) >= WAITING_MAX:
            self._drop(armed.saga_id, slot)
            return False
        self._of.setdefault(armed.saga_id, {})[slot] = armed
        self._order.append((now_seconds + WAIT_SECONDS, slot, armed))
        return True

    def put_back(self, slot: str, armed: Armed, *, now_seconds: float) -> None:
        """Keep once more what was taken, unless there is a newer one in its place."""
        if slot not in self._of.get(armed.saga_id, {}):
            self.put(slot, armed, now_seconds=now_seconds)

    def keep(self, saga_id: UUID, names: Collection[str | None] = ()) -> None:
        """Forget a saga's timers but for those of these names."""
        slots = self._of.get(saga_id, {})
        for slot in [slot for slot, armed in slots.items() if armed.timer.name not in names]:
            self._drop(saga_id, slot)

    def due(self, now_seconds: float | None = None) -> list[Armed]:
        """Take out what has waited long enough; without a time all there is."""
        taken: list[Armed] = []
        while self._order and (now_seconds is None or self._order[0][0] <= now_seconds):
            _, slot, armed = self._order.popleft()
            if self._of.get(armed.saga_id, {}).get(slot) is armed:
                self._drop(armed.saga_id, slot)
                taken.append(armed)
        return taken

    def _drop(self, saga_id: UUID, slot: str) -> None:
        slots = self._of.get(saga_id, {})
        slots.pop(slot, None)
        if not slots:
            self._of.pop(saga_id, None)
