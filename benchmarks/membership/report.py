"""What came of a measure: a table with the systems side by side, then one line of JSON."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

OURS = "grapevine"
_NOTHING = "-"


@dataclass(slots=True)
class Samples:
    """What was measured. ``missing`` counts the runs that gave no value, mostly in time."""

    values: list[float] = field(default_factory=list)
    missing: int = 0

    def add(self, value: float | None) -> None:
        """One more run."""
        if value is None:
            self.missing += 1
        else:
            self.values.append(value)


@dataclass(frozen=True, slots=True)
class Goal:
    """Bounds for ours; None is no bound. A run without a value misses every goal."""

    middle: float | None = None
    worst: float | None = None

    def __str__(self) -> str:
        if self.middle is None:
            return f"<= {self.worst:g}"
        return f"<= {self.middle:g}" + (f", worst {self.worst:g}" if self.worst is not None else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a measure. ``mean``: the middle is the mean, else the median."""

    key: str
    title: str
    goal: Goal | None = None
    mean: bool = False
    digits: int = 3

    def middle(self, samples: Samples) -> float:
        """The middle of the values, of which there is one at least."""
        return (statistics.fmean if self.mean else statistics.median)(samples.values)

    def met(self, samples: Samples) -> bool:
        """Whether the goal is."""
        assert self.goal is not None
        if samples.missing or not samples.values:
            return False
        middle = math.inf if self.goal.middle is None else self.goal.middle
        worst = math.inf if self.goal.worst is None else self.goal.worst
        return self.middle(samples) <= middle and max(samples.values) <= worst

    def cell(self, samples: Samples | None) -> str:
        """``middle (lowest - highest) n=…``."""
        if samples is None or not (samples.values or samples.missing):
            return _NOTHING
        count = len(samples.values)
        text = "no value"
        if samples.values:
            text = self._number(self.middle(samples))
        if count > 1:
            low, high = min(samples.values), max(samples.values)
            text += f" ({self._number(low)} - {self._number(high)}) n={count}"
        if samples.missing:
            text += f", {samples.missing} without"
        return text

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}"


@dataclass(slots=True)
class Report:
    """A measure's figures by system and row, and why some are missing."""

    measure: str
    title: str
    rows: Sequence[Row]
    systems: Sequence[str]
    figures: dict[str, dict[str, Samples]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def samples(self, system: str, key: str) -> Samples:
        """Where a system's values of a row go."""
        return self.figures.setdefault(system, {}).setdefault(key, Samples())

    def lack(self, system: str, keys: Sequence[str], runs: int) -> None:
        """Count the runs that were not reached as without a value."""
        for key in keys:
            samples = self.samples(system, key)
            samples.missing = max(samples.missing, runs - len(samples.values))

    def print(self) -> None:
        """The table, the notes, the line of JSON."""
        lines = [("", "goal", *self.systems)]
        for row in self.rows:
            cells = [row.cell(self.figures.get(system, {}).get(row.key)) for system in self.systems]
            goal = "" if row.goal is None else str(row.goal)
            if verdict := self._verdict(row):
                goal += f": {verdict}"
            lines.append((row.title, goal, *cells))
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        print(f"\n{self.title}")
        for line in lines:
            first, *rest = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print("   ".join((first, *rest)).rstrip())
        for note in self.notes:
            print(f"  {note}")
        print(json.dumps(self._json()), flush=True)

    def _verdict(self, row: Row) -> str:
        samples = self.figures.get(OURS, {}).get(row.key)
        if row.goal is None or samples is None:
            return ""
        return "met" if row.met(samples) else "MISSED"

    def _json(self) -> dict[str, object]:
        figures = {
            system: {
                row.key: {
                    "middle": round(row.middle(samples), 6),
                    "min": round(min(samples.values), 6),
                    "max": round(max(samples.values), 6),
                    "n": len(samples.values),
                    "missing": samples.missing,
                }
                if samples.values
                else {"n": 0, "missing": samples.missing}
                for row in self.rows
                if (samples := by_row.get(row.key)) is not None
            }
            for system, by_row in self.figures.items()
        }
        return {
            "benchmark": "membership",
            "measure": self.measure,
            "figures": figures,
            "notes": self.notes,
        }
