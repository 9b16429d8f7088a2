"""``mutants`` and ``mutate``: are mistakes noticed that were made on purpose?"""

import os

import click

from simulations.commands.text import show_lines
from simulations.mutants import MUTANTS, SEEDS_MAX, hunt
from simulations.mutation.hunt import hunt as mistakes
from simulations.mutation.subjects import SUBJECTS
from simulations.settings import nearest

_NICENESS = 10
"""Of what takes an hour: everybody else comes first."""


@click.command("mutants")
@click.option(
    "--seeds", type=click.IntRange(1), default=SEEDS_MAX, show_default=True, help="At most so many."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([mutant.name for mutant in MUTANTS]),
    help="Some of them.",
)
@click.pass_context
def hunt_mutants(context: click.Context, seeds: int, seed: int, only: tuple[str, ...]) -> None:
    """Break the protocol on purpose: which seed catches which mistake?"""
    escaped = 0
    for mutant in MUTANTS:
        if only and mutant.name not in only:
            continue
        found = hunt(mutant, seeds, seed)
        escaped += found.seed is None
        caught = f"seed {found.seed}" if found.seed is not None else "ESCAPED"
        click.echo(f"{mutant.name:26} {caught:10} {found.error[:100]}")
    context.exit(1 if escaped else 0)


@click.command("mutate")
@click.argument("modules", nargs=-1, required=True)
@click.option("--sample", type=click.IntRange(1), help="So many mistakes, drawn by lot; else all.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the lot.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Copies side by side.")
@click.option(
    "--test-seconds",
    type=click.FloatRange(0.1),
    default=15.0,
    show_default=True,
    help="Of tests for each mistake, the quickest first.",
)
@click.pass_context
def mutate(
    context: click.Context,
    modules: tuple[str, ...],
    sample: int | None,
    seed: int,
    jobs: int,
    test_seconds: float,
) -> None:
    """Make small mistakes in MODULES, one at a time: which does no test and no seed notice?

    A module is a path (gossip/members.py) or a subject: membership, apply, history.
    """
    named = [each for name in modules for each in _modules(name)]
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    survivors: list[str] = []
    total = 0
    try:
        for fate in mistakes(
            named, sample, seed, jobs, test_seconds, lambda t: click.echo(t, err=True)
        ):
            total += 1
            click.echo(fate.line())
            if not fate.killed_by:
                survivors.append(fate.line())
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    click.echo(f"\n{total} mistakes, of which {len(survivors)} survived")
    show_lines(survivors)
    context.exit(1 if survivors else 0)


def _modules(name: str) -> tuple[str, ...]:
    if name in SUBJECTS:
        return SUBJECTS[name].modules
    known = [module for subject in SUBJECTS.values() for module in subject.modules]
    if name not in known:
        near = nearest(name, [*SUBJECTS, *known])
        raise click.BadParameter(f"nothing says what must notice mistakes in '{name}'{near}")
    return (name,)
