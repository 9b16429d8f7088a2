"""What a run has shown, and tables of it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from simulations.world import World

Cell = str | float | int | None


class Table(NamedTuple):
    """Figures side by side."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    """Each as long as ``columns``; None where there is nothing to say."""
    notes: Sequence[str] = ()

    @staticmethod
    def cell(cell: Cell) -> str:
        """As it is shown."""
        if cell is None:
            return "-"
        if isinstance(cell, float):
            return f"{cell:.2f}" if abs(cell) < 100 else f"{cell:.0f}"
        return str(cell)

    def text(self) -> str:
        """For a terminal: aligned columns, the first to the left and the others to the right."""
        lines = [list(self.columns), *([self.cell(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        aligned = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, *aligned, *self.notes])


class Report(NamedTuple):
    """Times are virtual seconds."""

    virtual_seconds: float
    events: int
    trace_hash: str
    verdicts: dict[str, str]
    """What was judged -> ``ok``; a run that fails raises instead."""
    measures: dict[str, float]
    sometimes: dict[str, int]
    """How often each of ``simulations.sometimes`` happened."""
    tables: Sequence[Table] = ()


def report(world: World, *verdicts: str) -> Report:
    """Of a world whose run is over."""
    for node in world.nodes:
        if node.running:
            world.checks.sometimes.collect(node)
    return Report(
        round(world.now, 6),
        world.clock.events,
        world.trace_hash,
        dict.fromkeys(verdicts, "ok"),
        {name: round(value, 6) for name, value in world.measures.items()},
        {name: count for name, count in world.checks.sometimes.seen.items() if count},
    )


class Series:
    """The sum of several worlds that are looked at in one run."""

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def add(self, world: World) -> None:
        """One whose part is over."""
        self._reports.append(report(world))

    def report(self, measures: dict[str, float], tables: Sequence[Table], *verdicts: str) -> Report:
        """Of all of them; the trace hash stands for theirs, in order."""
        whole = hashlib.blake2b(digest_size=16)
        sometimes: dict[str, int] = {}
        for one in self._reports:
            whole.update(bytes.fromhex(one.trace_hash))
            for name, count in one.sometimes.items():
                sometimes[name] = sometimes.get(name, 0) + count
        return Report(
            round(sum(one.virtual_seconds for one in self._reports), 6),
            sum(one.events for one in self._reports),
            whole.hexdigest(),
            dict.fromkeys(verdicts, "ok"),
            {name: round(value, 6) for name, value in measures.items()},
            sometimes,
            tables,
        )
