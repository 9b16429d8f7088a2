"""What the page shows, in its order."""

from collections.abc import Callable
from html import escape
from typing import NamedTuple

from simulations.pictures import captions, page
from simulations.pictures.batch import Batch
from simulations.pictures.spreading import alarms, propagation
from simulations.pictures.trouble import drawn, tour
from simulations.pictures.wanted import Wanted
from simulations.report import Table
from simulations.reproductions.fence import fence
from simulations.reproductions.repair import repair
from simulations.settings import Settings

Progress = Callable[[int, int | None, str], None]


class Page(NamedTuple):
    """A page, and what replays the runs in it that failed."""

    text: str
    failures: list[str]


def make(wanted: Wanted, progress: Progress = lambda done, total, what: None) -> Page:
    """Run everything, and write it down. Raises AssertionError and TimeoutError where a run fails
    that isn't one of the batch."""
    batch = Batch(wanted, lambda done: progress(done, wanted.seeds, "swarm runs"))
    parts: tuple[tuple[str, Callable[[Wanted], str]], ...] = (
        ("How fast a change reaches everybody", propagation),
        ("How failures are found", alarms),
        ("One cluster, and what befell it", tour),
        ("Everything at once", batch.section),
        ("A run drawn by lot", drawn),
        ("Repair and fences", _tables),
        ("To see it again", _again),
    )
    sections: list[tuple[str, str]] = []
    for name, write in parts:
        progress(len(sections), len(parts), name)
        sections.append((name, write(wanted)))
    lead = f'<p class="lead">{captions.LEAD}</p>{batch.lead()}'
    return Page(page.page("Grapevine in simulation", lead, sections), batch.failures())


def _tables(wanted: Wanted) -> str:
    mended = repair(2, wanted.seed, Settings({"entities": "5000", "changed": "1,10,100"}))
    sizes = ",".join(f"{size}" for size in (3, 10, 32) if size <= wanted.nodes)
    asked = {"sizes": sizes, "losses": "0,0.01,0.05", "fences": f"{3 * wanted.changesets}"}
    fenced = fence(wanted.nodes, wanted.seed, Settings(asked))
    shown = "".join(_table(one) for one in (*mended.tables, *fenced.tables))
    return f"<p>{captions.TABLES}</p>{shown}"


def _table(one: Table) -> str:
    rows = [[one.cell(cell) for cell in row] for row in one.rows]
    notes = "".join(f"<figcaption>{escape(note)}</figcaption>" for note in one.notes)
    heading = f"<figcaption><b>{escape(one.title)}</b></figcaption>"
    return f"<figure>{heading}{page.table(one.columns, rows)}{notes}</figure>"


def _again(wanted: Wanted) -> str:
    seed = f"--seed {wanted.seed}"
    these = f"{seed} --seeds {wanted.seeds} --nodes {wanted.nodes}"
    lines = (
        ("This page", f"report {these} --changesets {wanted.changesets}"),
        ("The figures behind its first section", f"run propagation --nodes 1000 {seed}"),
        ("More clusters in which everything fails", "run swarm --seeds 200 --jobs 2"),
        ("One of those above", f"run swarm --nodes 0 {seed}"),
        ("Less of a run that failed", "shrink '…the line that it printed…'"),
        ("Mistakes that were made on purpose, and what caught each", "mutants"),
    )
    return "".join(
        f"<p>{escape(what)}:</p>{page.command(f'python -m simulations {line}')}"
        for what, line in lines
    )
