"""How a command of the command line ends: an exit code for scripts, one clear line for people.

Nothing here prints results; that is `output.py`.
"""

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

import typer
import uvloop
from pydantic import ValidationError
from rich.markup import escape

from contracts.errors import FieldError, Problem, Refused, Retryable
from infra.http.client import EdgePendingError, EdgeRefusedError, EdgeUnreachableError
from infra.telemetry import logs
from services.cli import output
from services.cli.exits import EXIT_CODES, Exit

P = ParamSpec("P")

DEBUG = "TRACSEQ_DEBUG"
"""Set, unforeseen errors show where they come from."""


class CliError(Exception):
    """A command ends here; the text says why, the remedy what to do about it."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: Exit = Exit.REFUSED,
        problem: Problem | None = None,
    ) -> None:
        """Say why, and what to do."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.problem = problem


def command(
    app: typer.Typer, name: str | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, None]]:
    """Register an async function as a command whose every error is one line and an exit code."""

    def register(function: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            as_json = bool(kwargs.get("as_json", False))
            # What the libraries below have to say is said by the command's own error.
            logs.configure(level="critical" if DEBUG not in os.environ else "debug", fmt="console")
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(function(*args, **kwargs))
            except KeyboardInterrupt:
                raise typer.Exit(Exit.INTERRUPTED) from None
            except Exception as error:
                if DEBUG in os.environ:
                    raise
                raise typer.Exit(_tell(error, as_json=as_json)) from None

        doc = inspect.getdoc(function) or ""
        app.command(name, help=f"{doc}\n\n{EXIT_CODES}")(run)
        return run

    return register


def _tell(error: Exception, *, as_json: bool) -> Exit:
    """Print an error in one line, its field errors below, and give the exit code."""
    told = as_cli_error(error)
    if as_json:
        document: dict[str, Any] = {
            "message": told.message,
            "remedy": told.remedy,
            "exit_code": told.code,
        }
        if told.problem is not None:
            document["problem"] = told.problem.model_dump(mode="json", exclude_none=True)
        output.print_json({"error": document}, file=sys.stderr)
        return told.code
    remedy = f" {told.remedy}" if told.remedy else ""
    # One line, however narrow the terminal: a folded line is two to a script.
    text = f"[bold red]Error:[/] {escape(told.message)}{escape(remedy)}"
    output.stderr().print(text, soft_wrap=True, highlight=False)
    if told.problem is not None:
        output.print_field_errors(told.problem.errors)
    return told.code


def as_cli_error(error: Exception) -> CliError:
    """Say any error as one for people."""
    if isinstance(error, CliError):
        return error
    if isinstance(error, EdgeRefusedError):
        return _of_problem(error.problem)
    if isinstance(error, Refused):
        return _of_problem(error.refusal.to_problem())
    if isinstance(error, EdgePendingError):
        remedy = f"Its outcome will be at {error.location}."
        return CliError("The command is stored and not done yet.", remedy=remedy)
    if isinstance(error, EdgeUnreachableError | Retryable):
        return CliError(f"{error}.", remedy=START_IT, code=Exit.UNREACHABLE)
    return _of_unforeseen(error)


def _of_unforeseen(error: Exception) -> CliError:
    if isinstance(error, OSError):
        return CliError(f"{error}.")
    if isinstance(error, ValidationError):
        return CliError(f"An answer cannot be read: {error.error_count()} value(s) do not fit.")
    return CliError(
        f"Unforeseen: {type(error).__name__}: {error}.",
        remedy=f"This is a fault of tracseq itself; {DEBUG}=1 shows where it is.",
    )


START_IT = "Is the system up? `tracseq up` starts one; --data or TRACSEQ_EDGE_URL says where it is."


def _of_problem(problem: Problem) -> CliError:
    unwell = problem.status in {502, 503, 504}
    code = Exit.UNREACHABLE if unwell else Exit.REFUSED
    return CliError(f"{problem.detail} [{problem.code}]", code=code, problem=problem)


def usage_error(field: str, value: object, problem: str, remedy: str) -> CliError:
    """Make the error of an argument that cannot be used."""
    return CliError(f"{field} {value!r} {problem}.", remedy=remedy, code=Exit.USAGE)


def invalid(what: str, errors: list[FieldError]) -> CliError:
    """Make the error of input that does not fit its contract; each field is listed."""
    problem = Problem(
        type="urn:tracseq:problem:request.invalid",
        title=what,
        status=422,
        detail=what,
        code="request.invalid",
        errors=errors,
    )
    return CliError(what, code=Exit.USAGE, problem=problem)
