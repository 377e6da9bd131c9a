"""A laboratory in which incidents are brought about: what an operator meets, on real processes.

Every participant is a process of its own, which can be stopped, killed and left without its
commands. The transaction service runs in this process, because its intake is one of the tests: the
laboratory's own, but for waits that are short, and for a step `warn` in the middle, at which a saga
stands as long as the notification service does. Answers that nobody sent are published here, as a
broken participant would. It checks nothing: what must hold is said by the tests.
"""

import json
import shlex
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import sagas.definitions
from contracts import envelope as wire
from contracts import subjects
from contracts.catalog import encode_refusal
from contracts.errors import Refusal
from contracts.notification import SendNotification, Template
from contracts.sample import MarkSamplesStored, RegisterSamples, WithdrawSamples
from contracts.storage import ConfirmPositions, ReleasePositions, ReservePositions
from contracts.template import ValidateManifest
from contracts.transaction import (
    GetTransaction,
    ListTransactions,
    StepStatus,
    SubmissionView,
    SubmitManifest,
    TransactionView,
)
from contracts.types import TransactionId
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.telemetry import logs
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition, Retry
from sagas.engine.mapping import SAGA_ID, out, start, text
from sagas.engine.writing import saga, seconds, step
from services import catalog
from services.cli.fleet import fleet
from services.transaction.handlers import inputs
from tests.docs import markdown
from tests.fixtures.cli import Ended, run_cli
from tests.fixtures.manifests import manifest
from tests.fixtures.system import Whole, whole_system

PAGE = "docs/operations.md"
OTHERS = frozenset(catalog.NAMES) - {"transaction"}
ONCE = Retry(1)
SOON, LATE = seconds(2.5), seconds(600)
WAIT_SECONDS = 60.0
TOLD = {
    # The list stays as wrong as a test makes it, and a lost timer is soon found.
    "TRACSEQ_TRANSACTION_AUDIT_SECONDS": "3600",
    "TRACSEQ_TRANSACTION_SWEEP_SECONDS": "1",
    "TRACSEQ_TRANSACTION_SWEEP_GRACE_SECONDS": "1",
    "TRACSEQ_TRANSACTION_HTTP_PORT": "0",
}
NEWS = {
    "template": Template.SUBMISSION_STORED,
    "values": {
        "submission_id": SAGA_ID,
        "accepted": text("{}", out("validate.accepted")),
        "file": start("file.name"),
    },
}


def intake(version: int) -> Definition:
    """Write the intake of the incidents."""
    # One step per line, so that the saga reads as a table.
    # fmt: off
    return saga("sample_intake", version=version, starts_with=SubmitManifest)(
        step("validate", ask=ValidateManifest,  kind=QUERY,            within=LATE),
        step("register", ask=RegisterSamples,   undo=WithdrawSamples,  within=LATE),
        step("reserve",  ask=ReservePositions,  undo=ReleasePositions, within=seconds(8), undo_retry=ONCE),  # noqa: E501 - one line per step
        step("warn",     ask=SendNotification,  kind=QUERY,            within=LATE, given=NEWS),
        step("store",    ask=ConfirmPositions,  kind=PIVOT,            within=SOON, retry=ONCE),
        step("mark",     ask=MarkSamplesStored, kind=RETRIABLE,        within=LATE),
        step("notify",   ask=SendNotification,  kind=RETRIABLE,        within=SOON, retry=ONCE, given=NEWS),  # noqa: E501 - one line per step
    )
    # fmt: on


ALL = (intake(1), intake(2))


@dataclass
class Ward:
    """The laboratory, and ways to hurt it."""

    whole: Whole
    data: Path
    stopped: set[str] = field(default_factory=set[str])
    """Services that stand still."""
    _numbers: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    async def type(self, command: str, *, may_fail: bool = False, **values: object) -> Ended:
        """Type a command of the page, with what its capital words stand for."""
        words = shlex.split(command)
        assert words.pop(0) == "tracseq", command
        typed = [str(values.get(word, word)) for word in words]
        ended = await run_cli(*typed, env={"TRACSEQ_DATA": str(self.data)})
        assert may_fail or ended.code == 0, f"{typed}: {ended.err}"
        return ended

    async def submit(self) -> TransactionId:
        """Hand in a manifest of two tubes."""
        name = f"W{self._numbers():03}"
        answer = await self.whole.submit(name, manifest(name, 2))
        return SubmissionView.model_validate_json(answer.content).transaction_id

    async def show(self, saga_id: TransactionId) -> TransactionView:
        """Show a saga as it stands."""
        return await self.whole.edge.ask(GetTransaction(transaction_id=saga_id))

    async def until(
        self, saga_id: TransactionId, fact: Callable[[TransactionView], bool]
    ) -> TransactionView:
        """Wait until a saga stands as it should, and is listed so."""
        until = SYSTEM.monotonic() + WAIT_SECONDS
        while not fact(view := await self.show(saga_id)):
            assert SYSTEM.monotonic() < until, view
            await SYSTEM.sleep(0.05)
        # What is typed next may ask the list.
        await self.whole.edge.ask(ListTransactions(min_seq=f"{saga_id}:{view.seq}", page_size=1))
        return view

    async def until_step(
        self, saga_id: TransactionId, name: str, status: StepStatus
    ) -> TransactionView:
        """Wait until a step of a saga stands so."""
        return await self.until(
            saga_id, lambda view: any((s.name, s.status) == (name, status) for s in view.steps)
        )

    def stop(self, service: str) -> None:
        """Make a service stand still; it is still there, and answers nobody."""
        self.whole.signal(service, signal.SIGSTOP)
        self.stopped.add(service)

    async def at(self, name: str) -> TransactionId:
        """Bring a saga to a step of the notification service, which is stopped."""
        self.stop("notification")
        saga_id = await self.submit()
        await self.until_step(saga_id, "warn", StepStatus.ASKED)
        if name != "warn":
            await self.answer(saga_id, "warn", {})
            await self.until_step(saga_id, name, StepStatus.ASKED)
        return saga_id

    async def answer(
        self, saga_id: TransactionId, name: str, result: Mapping[str, object] | Refusal
    ) -> None:
        """Answer the command of a step in the name of whoever should."""
        document: dict[str, object] = {"result": result}
        if isinstance(result, Refusal):
            document = {"refused": encode_refusal(result)}
        await self.reply(saga_id, name, await self._command_of(saga_id, name), document)

    async def reply(
        self, saga_id: UUID, name: str, command_id: str, document: Mapping[str, Any]
    ) -> None:
        """Publish an answer."""
        reply_id = f"{new_id()}:reply"
        headers = {
            wire.MESSAGE_ID: reply_id,
            "ce-specversion": wire.SPEC_VERSION,
            "ce-id": reply_id,
            "ce-type": "notification.send.answered",
            "ce-source": "tracseq/test",
            "ce-time": SYSTEM.now().isoformat(),
            wire.CORRELATION: "c",
            wire.CAUSATION: command_id,
            wire.ACTOR: "test",
            wire.SAGA_ID: str(saga_id),
            wire.SAGA_TYPE: "sample_intake",
            wire.SAGA_STEP: name,
        }
        subject = subjects.reply("sample_intake", saga_id)
        await self.whole.bus.connection.publish(subject, json.dumps(document).encode(), headers)

    async def _command_of(self, saga_id: TransactionId, name: str) -> str:
        found = self.whole.bus.connection.read(subjects.COMMANDS, subjects.every("cmd"))
        asked = {
            raw.headers[wire.SAGA_STEP]: raw.headers["ce-id"]
            async for raw in found
            if raw.headers.get(wire.SAGA_ID) == str(saga_id)
        }
        return asked[name]

    async def revive(self, service: str, *, forgetful: bool = False) -> None:
        """Let a stopped service begin anew; a forgetful one has lost what it was asked."""
        if forgetful:
            purge = self.whole.bus.connection.purge
            await purge(subjects.COMMANDS, subjects.commands_of(service))
        await self.whole.kill(service)
        await self.whole.until_ready(service)
        self.stopped.discard(service)


def commands(heading: str) -> list[str]:
    """List the commands of an incident, as the page has them."""
    after = markdown.read(PAGE).split(f"\n### {heading}\n", 1)
    assert len(after) == 2, f"{PAGE} has no incident {heading!r}"
    section = after[1].partition("\n#")[0]
    return [line.removeprefix("$ ") for line in section.splitlines() if line.startswith("$ ")]


@asynccontextmanager
async def open_ward(data: Path) -> AsyncGenerator[Ward]:
    """Run the laboratory for as long as a `with` lasts."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sagas.definitions, "ALL", ALL)
        patch.setattr(inputs, "SAMPLE_INTAKE", ALL[0])
        logs.configure(level="error", fmt="console")
        whole = await stack.enter_async_context(whole_system(data, isolated=True, only=OTHERS))
        told = whole.system._environment(whole.info)  # pyright: ignore[reportPrivateUsage] - what its services are told
        service = next(one for one in catalog.SERVICES if one.name == "transaction")
        await stack.enter_async_context(fleet([service], told | TOLD))
        yield Ward(whole, data)
