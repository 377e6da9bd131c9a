"""Every call that leaves a process goes through a circuit breaker, or is said here why it does not.

Three steps: every package that is imported is known to speak to nobody, or to the network; those
that do are imported in few modules; and in these, what reaches out is handed to a breaker's `call`,
or stands in a function that only ever is.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture import tree

FOLDERS = ("contracts", "infra", "sagas", "services")

SILENT = frozenset(
    {
        *("aiobreaker", "cryptography", "faststream", "jsonschema_rs", "opentelemetry", "orjson"),
        *("prometheus_client", "pydantic", "pydantic_core", "pydantic_settings", "pytest"),
        *("python_calamine", "rich", "sse_starlette", "starlette", "structlog", "tenacity"),
        *("typer", "uvicorn", "uvloop"),
    }
)
"""Packages that call nobody by themselves (faststream describes subjects, `nats` carries them)."""

GUARDED = {
    "motor": {"infra/store/client.py", "infra/store/guarded.py"},
    "httpx": {"infra/http/client.py", "infra/http/breaking_client.py", "infra/http/faults.py"},
    "aiosmtplib": {"services/notification/projections/mail.py"},
}
"""Packages that speak to the network -> the modules that do, each behind a breaker."""

VALUES = {"pymongo": {"infra/store"}}
"""Packages of which errors and values are imported; their calls are made by `motor`."""

UNGUARDED = {
    "nats": {"infra/bus", "infra/log"},
    "opentelemetry.exporter": {"infra/telemetry/export.py"},
}
"""Packages that speak to the network past every breaker, and where. NATS is what services live in:
a service that spared it would be off, and its client bounds and resumes by itself. Spans leave in a
thread of the SDK, which `Sparing` keeps from a receiver that is away."""

WAYS_OUT = frozenset(
    {
        *("http.client", "urllib.request", "smtplib", "ftplib", "imaplib", "poplib", "xmlrpc"),
        *("telnetlib", "socketserver"),
    }
)
CONNECTING = frozenset({"open_connection", "open_unix_connection", "create_connection"})
SUPERVISOR = "infra/supervisor/"
"""Looks on loopback whether a program that it started itself listens yet."""

OPERATIONS = frozenset(
    {
        *("aggregate", "bulk_write", "command", "count_documents", "create_collection"),
        *("create_index", "create_indexes", "delete_many", "delete_one", "distinct"),
        *("drop_collection", "drop_database", "estimated_document_count", "fetch_next", "find_one"),
        *("find_one_and_delete", "find_one_and_replace", "find_one_and_update", "insert_many"),
        *("insert_one", "list_collection_names", "list_database_names", "list_indexes"),
        *("replace_one", "server_info", "start_session", "to_list", "update_many", "update_one"),
        *("send_message", "sendmail", "login", "connect"),
    }
)
"""What drivers reach out with, whatever it is called on."""
CLIENTS = frozenset({"client", "_client", "_raw"})
"""Attributes that hold a driver's own object: anything called on them counts, but for these."""
HARMLESS = frozenset({"aclose", "build_request", "close", "find"})
PAST_THE_BREAKER = {("infra/store/client.py", "ping", "command")}
"""Readiness asks as often as it likes, and must not take a recovering store's trial calls."""


def imports(path: Path) -> set[str]:
    """Collect what a module imports, without the project itself."""
    names = tree.imported(tree.parse(path))
    return {name for name in names if name.partition(".")[0] not in tree.PACKAGES}


def is_of(name: str, package: str) -> bool:
    """Say whether a dotted name is a package, or within it."""
    return name == package or name.startswith(f"{package}.")


def test_every_package_is_known_to_speak_to_nobody_or_to_the_network() -> None:
    """A new dependency is judged here before anybody calls through it."""
    known = SILENT | GUARDED.keys() | VALUES.keys() | {"nats"}
    used = {
        name.partition(".")[0] for path in tree.modules(*FOLDERS) for name in imports(path)
    } - sys.stdlib_module_names

    assert used - known == set()


def test_what_speaks_to_the_network_is_imported_where_it_is_guarded() -> None:
    """Each such package has its few modules."""
    stray = {
        (package, str(path))
        for package, places in {**GUARDED, **VALUES, **UNGUARDED}.items()
        for path in tree.modules(*FOLDERS)
        if any(is_of(name, package) for name in imports(path))
        and not any(str(path).startswith(place) for place in places)
    }

    assert stray == set()


def test_the_standard_library_connects_to_nobody() -> None:
    """No module opens a connection by hand, but for the supervisor to its own children."""
    found = [
        f"{path}: {what}"
        for path in tree.modules(*FOLDERS)
        if not str(path).startswith(SUPERVISOR)
        for what in (
            *sorted(imports(path) & WAYS_OUT),
            *(call for call in called(tree.parse(path)) if call in CONNECTING),
        )
    ]

    assert found == []


def called(module: ast.Module) -> list[str]:
    """Name what is called as a method or a function of a module."""
    return [
        node.func.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


@dataclass(frozen=True)
class Reach:
    """One place in a module that calls what reaches out."""

    function: str
    """The innermost function that it stands in."""
    operation: str


class Module:
    """A module, as far as who calls whom in it goes."""

    def __init__(self, module: ast.Module) -> None:
        """Read it."""
        self.module = module
        self.owner: dict[ast.AST, str] = {}
        for function in self._functions(module):
            for node in ast.walk(function):
                self.owner[node] = function.name
        self.handed = self._handed()

    def unguarded(self) -> set[Reach]:
        """Give every call of an operation that no breaker was asked for."""
        return {one for one in self.reaches() if not self._is_guarded(one.function)}

    def reaches(self) -> Iterator[Reach]:
        """Give every call of an operation."""
        for node in ast.walk(self.module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                attribute, on = node.func.attr, node.func.value
                on_client = isinstance(on, ast.Attribute) and on.attr in CLIENTS
                if attribute in OPERATIONS or (on_client and attribute not in HARMLESS):
                    yield Reach(self.owner.get(node, "(module)"), attribute)

    @staticmethod
    def _functions(
        module: ast.Module,
    ) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        # Outer ones first: inner ones then take what is theirs.
        for node in ast.walk(module):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node

    def _handed(self) -> set[int]:
        """Identify what is given to a breaker's `call` as the function to call."""
        return {
            id(node.args[0])
            for node in ast.walk(self.module)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "call"
            and node.args
        }

    def _is_guarded(self, function: str, seen: frozenset[str] = frozenset()) -> bool:
        """Say whether every mention of a function is handed over, or stands in one that is."""
        mentions = [
            node
            for node in ast.walk(self.module)
            if isinstance(node, ast.Attribute) and node.attr == function
        ]
        return bool(mentions) and all(
            id(node) in self.handed
            or (
                (by := self.owner.get(node, "")) not in {"", function, *seen}
                and self._is_guarded(by, seen | {function})
            )
            for node in mentions
        )


def guarded_modules() -> list[Path]:
    """List the modules that speak through a driver, and their neighbours in the store."""
    named = {Path(path) for paths in GUARDED.values() for path in paths}
    return sorted(named | set(tree.modules("infra/store")))


def test_what_reaches_out_is_handed_to_a_breaker() -> None:
    """No driver's operation is called but in a function that a breaker calls."""
    past = {
        (str(path), one.function, one.operation)
        for path in guarded_modules()
        for one in Module(tree.parse(path)).unguarded()
    }

    assert past == PAST_THE_BREAKER


BY_HAND = "class A:\n async def read(self):\n  await self._raw.drop()"
ON_A_CURSOR = "class A:\n async def read(self):\n  await self.cursor.to_list(1)"
HANDED = "class A:\n async def read(self):\n  await self.breaker.call(self._raw.drop)"
WITHIN = """
class A:
    async def _do(self):
        await self.it.send_message(1)
    async def do(self):
        await self.breaker.call(self._do)
"""
BESIDE = f"{WITHIN}    async def too(self):\n        await self._do()\n"


@pytest.mark.parametrize(
    ("source", "past"),
    [
        (BY_HAND, {"drop"}),
        (ON_A_CURSOR, {"to_list"}),
        (HANDED, set[str]()),
        (WITHIN, set[str]()),
        (BESIDE, {"send_message"}),
    ],
)
def test_the_search_tells_what_is_guarded(source: str, past: set[str]) -> None:
    """What is called by hand is found, also through a function that is handed over elsewhere."""
    assert {one.operation for one in Module(ast.parse(source)).unguarded()} == past
