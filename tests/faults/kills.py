"""Kill whatever process, whenever, while sagas are under way: what is done to the system.

Every process of a laboratory is killed about equally often by kind, at random moments, with
SIGKILL; the supervisor brings it back. Manifests are handed in all the time. What came of it is
read from the logs: whether anything was lost or doubled, and how soon work went on (`figures.py`).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from contracts.storage import AddContainer, ContainerKind
from contracts.types import Zone
from infra.clock import SYSTEM
from tests.fixtures.ledger import Ledger, read_ledger
from tests.fixtures.manifests import manifest, rows
from tests.fixtures.system import NATS, STORE, Whole, whole_system

SENDERS = 3
SEND_PAUSE_SECONDS = (0.1, 0.5)
KILL_PAUSE_SECONDS = (0.1, 2.5)
"""From a victim's return to the next kill: some come before work has gone on, most after."""
ROWS_MAX = 2
ROWS_WITHOUT_ROOM = 10
"""More than the box at -80 °C has positions: such a submission must be undone."""
UNDONE_SHARE = 0.25
ROUNDS_A_BOX = 40
"""What is stored in so many rounds fits into a box with ease."""
SETTLED_SECONDS_MAX = 180.0
KINDS = {
    "transaction": "orchestrator",
    NATS: "broker",
    STORE: "store",
    "edge": "edge",
    "event": "timeline",
}
"""Process -> what it is to a saga; the others are participants."""

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill, and when the killed process was ready again."""

    name: str
    killed_at: datetime
    ready_at: datetime

    @property
    def kind(self) -> str:
        """What the victim is to a saga."""
        return kind_of(self.name)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, what should have come of it, and what the logs say."""

    kills: list[Kill]
    expected: dict[str, list[str]]
    """File -> the barcodes that it must store, none where it must be undone."""
    repeated: int
    """How often a manifest had to be sent again."""
    ledger: Ledger


@dataclass
class Senders:
    """Laboratories that hand in small manifests, one after the other, until each is taken."""

    whole: Whole
    chance: random.Random
    expected: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    repeated: int = 0

    async def send(self, sender: int, stop: asyncio.Event) -> None:
        """Hand in manifests until told to stop; the last one is taken all the same."""
        numbers: Iterator[int] = iter(range(100_000))
        while not stop.is_set():
            name = f"K{sender}-{next(numbers):05}"
            undone = self.chance.random() < UNDONE_SHARE
            count = ROWS_WITHOUT_ROOM if undone else self.chance.randint(1, ROWS_MAX)
            self.expected[name] = [] if undone else [row[0] for row in rows(name, count)]
            await self._until_taken(name, manifest(name, count, zone="-80" if undone else "-20"))
            await SYSTEM.sleep(self.chance.uniform(*SEND_PAUSE_SECONDS))

    async def _until_taken(self, name: str, content: bytes) -> None:
        async with asyncio.timeout(SETTLED_SECONDS_MAX):
            while True:
                with suppress(httpx.TransportError):
                    answer = await self.whole.submit(name, content)
                    if answer.status_code == 202:
                        if "transaction_id" in answer.json():
                            return
                    else:
                        assert answer.status_code == 503, answer.text
                self.repeated += 1
                await SYSTEM.sleep(0.1)


async def kill_at_random(folder: Path, *, rounds: int, seed: int, say: Say) -> Outcome:
    """Run a laboratory of one process per service, kill in it so often, and wait for its calm.

    Raises:
        AssertionError: a log holds together no more, or something was taken twice.
        TimeoutError: something did not come back, or a saga did not end.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    async with whole_system(folder, isolated=True) as whole:
        await _add_boxes(whole, rounds // ROUNDS_A_BOX)
        senders, stop = Senders(whole, chance), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for sender in range(SENDERS):
                tasks.create_task(senders.send(sender, stop))
            kills = await _kill(whole, chance, rounds, say)
            stop.set()
        ledger = await settled(whole)
    return Outcome(kills, senders.expected, senders.repeated, ledger)


async def _add_boxes(whole: Whole, count: int) -> None:
    """Give what is stored at -20 °C more room."""
    first = whole.boxes[Zone.FROZEN]
    for number in range(2, count + 2):
        box = AddContainer(
            kind=ContainerKind.BOX,
            name=f"B{number:02}",
            parent_id=first.parent_id,
            rows=first.rows,
            columns=first.columns,
        )
        await whole.edge.ask(box)


async def _kill(whole: Whole, chance: random.Random, rounds: int, say: Say) -> list[Kill]:
    kills: list[Kill] = []
    for number, name in enumerate(victims(whole.names, chance, rounds), start=1):
        await SYSTEM.sleep(chance.uniform(*KILL_PAUSE_SECONDS))
        killed_at = SYSTEM.now()
        await whole.kill(name)
        await whole.until_ready(name)
        kills.append(Kill(name, killed_at, SYSTEM.now()))
        say(f"{number}/{rounds}: {name} is back")
    return kills


def victims(names: Sequence[str], chance: random.Random, rounds: int) -> list[str]:
    """Choose whom to kill, each kind of process about equally often, in random order."""
    by_kind: dict[str, deque[str]] = {}
    for name in chance.sample(list(names), len(names)):
        by_kind.setdefault(kind_of(name), deque()).append(name)
    chosen: list[str] = []
    for number in range(rounds):
        same = list(by_kind.values())[number % len(by_kind)]
        chosen.append(same[0])
        same.rotate()
    chance.shuffle(chosen)
    return chosen


def kind_of(name: str) -> str:
    """Say what a process is to a saga."""
    return KINDS.get(name, "participant")


async def settled(whole: Whole) -> Ledger:
    """Wait until every saga has ended and everything is announced, and give the ledger."""
    ended = False
    async with asyncio.timeout(SETTLED_SECONDS_MAX):
        while True:
            ledger = await read_ledger(whole.bus.connection)
            # The logs are read one after the other: only a second reading has them at one moment.
            if ended and ledger.announced >= +ledger.public:
                return ledger
            ended = not ledger.unended
            await SYSTEM.sleep(0.2)
