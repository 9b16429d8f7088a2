"""``list``, ``run`` and ``replay``: scenarios, by their names and seeds."""

import contextlib
import itertools
import json
import shlex
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, TextIO

import click

from simulations.commands import INTERRUPTED
from simulations.commands.text import show_lines
from simulations.progress import Bar
from simulations.report import Table
from simulations.runner import COMMAND, SWARMS, Batch, Request, options, run, run_all
from simulations.scenarios import SCENARIOS
from simulations.settings import SettingError, nearest

_NODES = 10


def _known(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """The name of a scenario; another one is refused, naming the nearest."""
    if name is not None and name not in SCENARIOS:
        there_are = ", ".join(SCENARIOS)
        raise click.BadParameter(
            f"no scenario is called '{name}'{nearest(name, SCENARIOS)}; there are {there_are}"
        )
    return name


@click.command("list")
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


@click.command("run")
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
        nodes = nodes_of(name)
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
        context.exit(INTERRUPTED)
    _show(outcome, as_json)
    context.exit(_exit_code(outcome, forever))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def replay(context: click.Context, line: tuple[str, ...]) -> None:
    """Run again what a failure printed: the whole LINE, quoted or not."""
    words = words_of(line)[1:]
    context.exit(run_scenario.main(words, f"{COMMAND} run", standalone_mode=False) or 0)


def words_of(line: tuple[str, ...]) -> list[str]:
    """What is typed of a line that runs a scenario, from ``run`` on. Raises click.UsageError."""
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


def nodes_of(name: str) -> int:
    """How many nodes a scenario has where nobody said: 0, the seed chooses."""
    return 0 if name in SWARMS else _NODES


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
    return INTERRUPTED if outcome.get("interrupted") and not forever else 0


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
            show_lines(f"  {name:24} {inner}" for name, inner in value.items())
        elif key == "failures":
            show_lines(f"FAILED  {one['replay']}\n  {one['error']}" for one in value)
        elif isinstance(value, list):
            show_lines(f"{key:16} {inner}" for inner in value)
        else:
            click.echo(f"{key:16} {value}")
    show_lines("\n" + Table(**table).text() for table in tables)
