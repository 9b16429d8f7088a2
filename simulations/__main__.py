"""``python -m simulations list | run | replay | shrink | mutants | mutate | real``."""

import contextlib
import itertools
import json
import os
import shlex
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, TextIO

import click

from simulations.mutants import MUTANTS, SEEDS_MAX, hunt
from simulations.mutation.hunt import hunt as mistakes
from simulations.mutation.subjects import SUBJECTS
from simulations.pictures.contents import make
from simulations.pictures.wanted import Wanted
from simulations.progress import Bar
from simulations.real.command import command as real
from simulations.report import Table
from simulations.runner import COMMAND, SWARMS, Batch, Request, options, run, run_all
from simulations.scenarios import SCENARIOS
from simulations.settings import SettingError, nearest
from simulations.shrinking import NothingFails, Shrinker

_NODES = 10
_NICENESS = 10
"""Of what takes an hour: everybody else comes first."""
_INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""


def _known(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """The name of a scenario; another one is refused, naming the nearest."""
    if name is not None and name not in SCENARIOS:
        there_are = ", ".join(SCENARIOS)
        raise click.BadParameter(
            f"no scenario is called '{name}'{nearest(name, SCENARIOS)}; there are {there_are}"
        )
    return name


@click.group()
def main() -> None:
    """Run the cluster's protocol in a world with a virtual clock and network.

    Exit codes: 0 all ended as they must, 1 something didn't, 2 usage, 130 stopped by Ctrl-C.
    """


@main.command("list")
@click.argument("name", callback=_known, required=False)
def list_scenarios(name: str | None) -> None:
    """Name the scenarios, and what each shows; of one NAME also what --set may change."""
    if name is None:
        for each, scenario in SCENARIOS.items():
            click.echo(f"{each:14} {(scenario.__doc__ or '').splitlines()[0]}")
        return
    click.echo(f"{name}: {SCENARIOS[name].__doc__}")
    for key, default in options(name).items():
        click.echo(f"  {key:20} {default}")


@main.command("run")
@click.argument("name", callback=_known)
@click.option(
    "--nodes",
    type=click.IntRange(0, 2_000),
    help="10; for swarm and whole 0, which lets the seed choose.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option("--seeds", type=click.IntRange(1), default=1, help="So many, from --seed on.")
@click.option("--forever", is_flag=True, help="All seeds from --seed on, until Ctrl-C.")
@click.option(
    "--minutes",
    type=click.FloatRange(0.0, min_open=True),
    help="With --forever: until so long has passed, or Ctrl-C.",
)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Processes side by side.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first seed that fails.")
@click.option(
    "--keep",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append what replays each seed that fails to this file.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A field of the profile or of the link, or an option of the scenario; `list NAME` shows "
    "them. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON, and no progress bar.")
@click.pass_context
def run_scenario(
    context: click.Context,
    name: str,
    nodes: int | None,
    seed: int,
    seeds: int,
    forever: bool,
    minutes: float | None,
    jobs: int,
    fail_fast: bool,
    keep: Path | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run one scenario.

    Exit code 1 when a run doesn't end as it must; the line that replays it is printed, then.
    """
    if nodes is None:
        nodes = _nodes_of(name)
    elif nodes == 0 and name not in SWARMS:
        raise click.UsageError(
            f"only {' and '.join(SWARMS)} let the seed choose the number of nodes (--nodes 0)"
        )
    if minutes is not None and not forever:
        raise click.UsageError("--minutes says how long --forever is, which isn't there")
    total = None if forever else seeds
    numbers = itertools.count(seed) if total is None else range(seed, seed + total)
    requests = (Request(name, nodes, number, settings) for number in numbers)
    try:
        if total == 1:
            outcome = _run_one(next(requests), as_json, keep)
        else:
            batch = Batch(name)
            outcomes = run_all(requests, jobs)
            if minutes is not None:
                outcomes = _until(time.monotonic() + 60.0 * minutes, outcomes)
            _run_batch(batch, outcomes, total, as_json, fail_fast, keep)
            outcome = batch.outcome()
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        context.exit(_INTERRUPTED)
    _show(outcome, as_json)
    context.exit(_exit_code(outcome, forever))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def replay(context: click.Context, line: tuple[str, ...]) -> None:
    """Run again what a failure printed: the whole LINE, quoted or not."""
    context.exit(main.main(_words(line), COMMAND, standalone_mode=False) or 0)


def _words(line: tuple[str, ...]) -> list[str]:
    """From ``run`` on."""
    try:
        words = [word for part in line for word in shlex.split(part)]
    except ValueError as error:
        raise click.UsageError(f"{shlex.join(line)}: {error}") from error
    if "run" not in words:
        near = next(filter(None, (nearest(word, ["run"]) for word in words)), "")
        raise click.UsageError(
            f"'{' '.join(line)}' replays nothing{near}; a failure prints a line like: "
            f"{Request('swarm', 0, 458).line()}"
        )
    return words[words.index("run") :]


@main.command("shrink", context_settings={"ignore_unknown_options": True})
@click.option(
    "--seconds",
    type=click.FloatRange(0.0),
    default=600.0,
    show_default=True,
    help="The smallest run found by then is what counts.",
)
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def shrink(context: click.Context, seconds: float, line: tuple[str, ...]) -> None:
    """Make a failing run smaller: LINE is what it printed, quoted.

    Prints what is left of it and the line that replays that. Exit code 1 when there is nothing to
    shrink: the run doesn't fail.
    """
    with run_scenario.make_context("run", _words(line)[1:]) as asked:
        given = asked.params
    nodes = given["nodes"] if given["nodes"] is not None else _nodes_of(given["name"])
    request = Request(given["name"], nodes, given["seed"], given["settings"])
    try:
        shrunk = Shrinker(request, seconds, lambda text: click.echo(text, err=True)).shrink()
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except NothingFails as error:
        click.echo(str(error), err=True)
        context.exit(1)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        context.exit(_INTERRUPTED)
    _show_lines(shrunk.operations)
    click.echo(shrunk.outcome["error"])
    how = "nothing more can be left out" if shrunk.finished else "the time is over"
    click.echo(f"{shrunk.runs} runs; {how}; this replays it:")
    click.echo(shrunk.request.line())


def _nodes_of(name: str) -> int:
    return 0 if name in SWARMS else _NODES


@main.command("report")
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
    _show_lines(f"FAILED  {line}" for line in made.failures)
    context.exit(1 if made.failures else 0)


@main.command("mutants")
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


main.add_command(real)


@main.command("mutate")
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
    _show_lines(survivors)
    context.exit(1 if survivors else 0)


def _modules(name: str) -> tuple[str, ...]:
    if name in SUBJECTS:
        return SUBJECTS[name].modules
    known = [module for subject in SUBJECTS.values() for module in subject.modules]
    if name not in known:
        near = nearest(name, [*SUBJECTS, *known])
        raise click.BadParameter(f"nothing says what must notice mistakes in '{name}'{near}")
    return (name,)


def _run_one(request: Request, as_json: bool, keep: Path | None) -> dict[str, Any]:
    begun = time.process_time()
    with Bar(hidden=as_json) as bar:
        outcome = run(request, lambda done, total: bar.show(done, total, request.scenario))
    seconds = time.process_time() - begun
    if outcome["ok"]:
        events = outcome["events"]
        each = seconds / max(events, 1) * 1e6
        click.echo(
            f"{outcome['virtual_seconds'] / 3600:.2f} virtual hours, {events} events in "
            f"{seconds:.1f} s of CPU: {events / max(seconds, 1e-9):.0f} a "
            f"second, {each:.1f} µs each",
            err=True,
        )
    elif keep is not None:
        with keep.open("a") as file:
            _keep(outcome, file)
    return outcome


def _until(
    ends_at: float, outcomes: Generator[dict[str, Any], None, None]
) -> Generator[dict[str, Any], None, None]:
    """Those that come by then, and the one that is under way."""
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            yield outcome
            if time.monotonic() >= ends_at:
                return


def _run_batch(
    batch: Batch,
    outcomes: Generator[dict[str, Any], None, None],
    total: int | None,
    as_json: bool,
    fail_fast: bool,
    keep: Path | None,
) -> None:
    """Fill a batch with outcomes until they end, one fails (with ``fail_fast``), or Ctrl-C."""
    with Bar(hidden=as_json) as bar:
        bar.show(0, total, "seeds")
        try:
            for outcome in outcomes:
                batch.add(outcome)
                if not outcome["ok"]:
                    bar.tell(f"FAILED  {outcome['replay']}")
                    if keep is not None:
                        with keep.open("a") as file:
                            _keep(outcome, file)
                bar.show(batch.runs, total, f"seeds, {len(batch.failures)} failed")
                if fail_fast and batch.failures:
                    break
        except KeyboardInterrupt:
            batch.interrupted = True
        finally:
            outcomes.close()


def _keep(outcome: dict[str, Any], file: TextIO) -> None:
    print(outcome["replay"], "#", " ".join(outcome["error"].split()), file=file)


def _exit_code(outcome: dict[str, Any], forever: bool) -> int:
    if not outcome["ok"]:
        return 1
    # Nothing else ends what runs for ever.
    return _INTERRUPTED if outcome.get("interrupted") and not forever else 0


def _show(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome))
        return
    tables = outcome.get("tables", [])
    for key, value in outcome.items():
        if key == "tables" or (key == "measures" and tables):
            continue
        if isinstance(value, dict):
            click.echo(key)
            _show_lines(f"  {name:24} {inner}" for name, inner in value.items())
        elif key == "failures":
            _show_lines(f"FAILED  {one['replay']}\n  {one['error']}" for one in value)
        elif isinstance(value, list):
            _show_lines(f"{key:16} {inner}" for inner in value)
        else:
            click.echo(f"{key:16} {value}")
    _show_lines("\n" + Table(**table).text() for table in tables)


def _show_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


if __name__ == "__main__":
    main()
