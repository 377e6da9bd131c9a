"""Definitions that stand in a file and are not released: loaded to be looked at, or tried.

Loading runs the file, as importing it would.
"""

import importlib.util
import sys
from pathlib import Path

from sagas.engine.definition import Definition
from services.cli.outcome import CliError, usage_error

WRITTEN = "FILE.py:NAME"
MODULE = "tracseq_definition_on_trial"
REMEDY = f"Write {WRITTEN}, such as sagas/definitions/sample_intake.py:SAMPLE_INTAKE."


def definitions_in(place: str) -> list[Definition]:
    """Load what `FILE.py:NAME` names; every definition that the file makes, where no name is said.

    Raises:
        CliError: there is no such file or name, or the file does not run.
    """
    file, _, name = place.partition(":")
    members = _load(place, Path(file))
    made = {key: one for key, one in members.items() if isinstance(one, Definition)}
    if name and name not in made:
        problem = f"has no definition called {name}"
        remedy = f"It has: {', '.join(made) or 'none'}."
        raise usage_error(WRITTEN, file, problem, remedy)
    if not made:
        raise usage_error(WRITTEN, file, "makes no definition", REMEDY)
    return [made[name]] if name else list(dict.fromkeys(made.values()))


def _load(place: str, file: Path) -> dict[str, object]:
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise usage_error(WRITTEN, place, "names no Python file", REMEDY)
    module = importlib.util.module_from_spec(spec)
    # Where classes of the file look for their own module while it runs.
    sys.modules[MODULE] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - a program under trial
        # It is somebody's program under trial: whatever it raises is an answer about it.
        raise CliError(
            f"{file} does not run: {type(error).__name__}: {error}.",
            remedy="Mend it, and try again.",
        ) from None
    finally:
        del sys.modules[MODULE]
    return vars(module)
