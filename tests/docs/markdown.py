"""Pages of the documentation as data: code blocks, commands, tables. It judges nothing."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<file>[\w./]+)(?P<each> \(each\))?\n")
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    line: int
    """Of the page, where the text begins."""

    @property
    def file(self) -> str:
        """The path in the first line (`# services/x/domain.py`); empty where there is none."""
        named = _FILE.match(self.text)
        return named["file"] if named else ""

    @property
    def everywhere(self) -> bool:
        """Whether the first line says that the change is to be made at each place that fits."""
        named = _FILE.match(self.text)
        return bool(named and named["each"])

    @property
    def body(self) -> str:
        """The text without the line that names the file."""
        return _FILE.sub("", self.text, count=1) if self.file else self.text


def read(page: str) -> str:
    """Read a page, given relative to the root of the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[Block]:
    """List the blocks of one language, in order."""
    text = read(page)
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 2)
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def commands(page: str) -> list[str]:
    """List what the console blocks of a page say to type, one command each, in order."""
    return [
        line.removeprefix("$ ").partition("   # ")[0].strip()
        for block in blocks(page, "console")
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]


def rows(page: str, heading: str) -> list[list[str]]:
    """List the cells of the first table below a heading, head and backticks left out."""
    after = read(page).split(f"\n{heading}\n", 1)
    if len(after) == 1:
        raise LookupError(f"{page} has no heading {heading!r}")
    section = re.split(r"^#", after[1], maxsplit=1, flags=re.MULTILINE)[0]
    found = [
        [cell.strip().replace("`", "") for cell in row.split("|")] for row in _ROW.findall(section)
    ]
    return found[2:]


def apply(block: Block, root: Path) -> None:
    """Make the change that a diff block describes, in the file it names.

    Raises:
        ValueError: the lines that it changes do not stand there once (for `(each)`: at all).
    """
    lines = block.body.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    path = root / block.file
    text = path.read_text(encoding="utf-8")
    found = text.count(before)
    if found != 1 and not (block.everywhere and found):
        raise ValueError(f"what line {block.line} changes stands {found} times in {block.file}")
    path.write_text(text.replace(before, after), encoding="utf-8")
