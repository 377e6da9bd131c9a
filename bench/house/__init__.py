"""The house: commands, the edge, events, the projector, sagas, and what `tracseq up` costs.

Each part runs beside its floor or peer in the same run, alternating, on the same broker and store.
"""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.house.commands import commands
from bench.house.edge import edge
from bench.house.events import events
from bench.house.parts import Servers
from bench.house.projector import projector
from bench.house.system import system
from bench.report import Report
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.supervisor import Child, DocumentStore, NatsServer


async def run(scale: float) -> Report:
    """Measure everything; `scale` 1 is the whole work."""
    report = Report("house")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracseq-bench-")))
        broker = NatsServer(folder / "nats")
        store = DocumentStore(folder / "store")
        for program in (broker.program(), store.program()):
            child = Child(program)
            await child.start()
            stack.push_async_callback(child.stop)
        connection = await Connection.connect(broker.url, "provisioner")
        await provision(connection)
        await connection.close()
        servers = Servers(broker.url, store.url, folder)
        await commands(report, servers, scale)
        await edge(report, servers, scale)
        await events(report, broker.url, scale)
        await projector(report, store.url, scale)
    await system(report, scale)
    return report
