"""Programs that run beside us: started, watched, restarted within bounds, ended with us.

Here are the broker and the document store of a machine's own laboratory, and the means to run
services as processes of their own. It knows no contracts, asks what it starts whether it is up and
nothing else, and never touches a process that it did not start.
"""

from infra.supervisor.child import Child, ChildFailedError, Program
from infra.supervisor.document_store import DocumentStore
from infra.supervisor.lock import DataInUseError, hold_data
from infra.supervisor.nats_server import NatsServer
from infra.supervisor.ports import (
    PortsTakenError,
    free_base,
    free_port,
    hold_free_base,
    require_free,
)
from infra.supervisor.supervisor import RestartPolicy, Supervisor
from infra.supervisor.wheels import MissingProgramError

__all__ = [
    "Child",
    "ChildFailedError",
    "DataInUseError",
    "DocumentStore",
    "MissingProgramError",
    "NatsServer",
    "PortsTakenError",
    "Program",
    "RestartPolicy",
    "Supervisor",
    "free_base",
    "free_port",
    "hold_data",
    "hold_free_base",
    "require_free",
]
