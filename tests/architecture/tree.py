"""The repository as a tree of files, for the tests that judge its shape. It imports none of it."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "infra", "sagas", "services")


def modules(*folders: str) -> list[Path]:
    """List the Python files under folders of the repository, relative to its root, in order."""
    return sorted(
        path.relative_to(ROOT)
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def services() -> list[str]:
    """List the services: the packages of `services/` that can be run."""
    return sorted(path.parent.name for path in (ROOT / "services").glob("*/__main__.py"))


def parse(path: Path) -> ast.Module:
    """Parse one file, given relative to the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def imported(tree: ast.Module) -> set[str]:
    """Collect the dotted names of every module a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names


def tracked_files() -> list[Path]:
    """List what is or would be in the repository: tracked and new files, but not ignored ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    paths = (Path(name) for name in listed.stdout.split("\0") if name)
    return sorted(path for path in paths if (ROOT / path).is_file())
