"""``report``: the page of pictures."""

from pathlib import Path

import click

from simulations.commands.text import show_lines
from simulations.pictures.contents import make
from simulations.pictures.wanted import Wanted
from simulations.progress import Bar


@click.command("report")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("simulations.html"),
    show_default=True,
    help="Where it is written.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1_000),
    default=60,
    show_default=True,
    help="So many swarm runs.",
)
@click.option(
    "--nodes",
    type=click.IntRange(10, 1_000),
    default=100,
    show_default=True,
    help="Of the cluster in which changes spread.",
)
@click.option(
    "--changesets",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="That spread there.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Processes side by side.")
@click.pass_context
def write_report(
    context: click.Context,
    out: Path,
    seed: int,
    seeds: int,
    nodes: int,
    changesets: int,
    jobs: int,
) -> None:
    """Write a page of pictures that anybody can read: one file of HTML, which needs no other.

    Exit code 1 when a run in it failed; the page shows which.
    """
    with Bar() as bar:
        made = make(Wanted(seed, seeds, nodes, changesets, jobs=jobs), bar.show)
    out.write_text(made.text)
    click.echo(f"{out}: {len(made.text.encode()) / 1e6:.2f} MB")
    show_lines(f"FAILED  {line}" for line in made.failures)
    context.exit(1 if made.failures else 0)
