"""What a bench found: rows as measured, and one check for each target. Prints, never judges."""

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Check:
    """One target and what was measured against it."""

    name: str
    value: float
    unit: str
    target: str
    ok: bool


@dataclass(slots=True)
class Report:
    """What one bench found."""

    bench: str
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    checks: list[Check] = field(default_factory=list[Check])

    def row(self, **values: Any) -> None:  # noqa: ANN401 - JSON
        """Note one measurement, and say it to whoever watches."""
        self.rows.append(values)
        text = "  ".join(f"{k}={_short(v)}" for k, v in values.items())
        print(text, file=sys.stderr, flush=True)

    def at_least(self, name: str, value: float, target: float, unit: str) -> None:
        """Check that a value reaches its target."""
        self.checks.append(Check(name, round(value, 4), unit, f">= {target:g}", value >= target))

    def at_most(self, name: str, value: float, target: float, unit: str) -> None:
        """Check that a value stays within its target."""
        self.checks.append(Check(name, round(value, 4), unit, f"<= {target:g}", value <= target))

    def print(self, *, as_json: bool) -> None:
        """Print the checks; with `as_json` the last line is the whole report."""
        table = Table(title=self.bench, title_justify="left", box=None)
        for column in ("check", "value", "unit", "target", "ok"):
            table.add_column(column)
        for check in self.checks:
            ok = "[green]yes[/]" if check.ok else "[red]no[/]"
            table.add_row(check.name, _short(check.value), check.unit, check.target, ok)
        Console(stderr=as_json).print(table)
        if as_json:
            checks = [
                {"name": c.name, "value": c.value, "unit": c.unit, "target": c.target, "ok": c.ok}
                for c in self.checks
            ]
            print(json.dumps({"bench": self.bench, "rows": self.rows, "checks": checks}))


def _short(value: object) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def percentile(values: list[float], share: float) -> float:
    """Give the value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
