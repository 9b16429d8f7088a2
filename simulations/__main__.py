"""``python -m simulations list | run NAME … | replay LINE | mutants``."""

import json
import shlex
import sys
import time
from typing import Any

import click

from simulations.mutants import MUTANTS, SEEDS_MAX, hunt
from simulations.runner import Batch, Request, run, run_all
from simulations.scenarios import SCENARIOS
from simulations.settings import SettingError

_NODES = 10


@click.group()
def main() -> None:
    """Run the cluster's protocol in a world with a virtual clock and network."""


@main.command("list")
def list_scenarios() -> None:
    """Name the scenarios, and what each shows."""
    for name, scenario in SCENARIOS.items():
        click.echo(f"{name:14} {(scenario.__doc__ or '').splitlines()[0]}")


@main.command("run")
@click.argument("name", type=click.Choice(list(SCENARIOS)))
@click.option("--nodes", type=click.IntRange(0, 2_000), help="10, or what the seed chooses.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=1, help="So many, from --seed on.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, help="Processes side by side.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first seed that fails.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Profile, link, …")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.pass_context
def run_scenario(
    context: click.Context,
    name: str,
    nodes: int | None,
    seed: int,
    seeds: int,
    jobs: int,
    fail_fast: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run one scenario. Exit code 1 when it doesn't end as it must."""
    if nodes is None:
        nodes = 0 if name == "swarm" else _NODES
    elif nodes == 0 and name != "swarm":
        raise click.UsageError("only swarm lets the seed choose the number of nodes (--nodes 0)")
    requests = [Request(name, nodes, seed + number, settings) for number in range(seeds)]
    try:
        outcome = _run_one(requests[0]) if seeds == 1 else _run_batch(requests, jobs, fail_fast)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    _show(outcome, as_json)
    context.exit(0 if outcome["ok"] else 1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def replay(context: click.Context, line: tuple[str, ...]) -> None:
    """Run again what a failure printed: the whole line, quoted or not."""
    words = [word for part in line for word in shlex.split(part)]
    if "run" in words:
        words = words[words.index("run") + 1 :]
    context.exit(main.main(["run", *words], standalone_mode=False) or 0)


@main.command("mutants")
@click.option("--seeds", type=click.IntRange(1), default=SEEDS_MAX, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option("--only", multiple=True, type=click.Choice([mutant.name for mutant in MUTANTS]))
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


def _run_one(request: Request) -> dict[str, Any]:
    begun = time.monotonic()
    outcome = run(request)
    seconds = time.monotonic() - begun
    if outcome["ok"]:
        events = outcome["events"]
        each = seconds / max(events, 1) * 1e6
        speed = (
            f"{events} events in {seconds:.1f} s: {events / seconds:.0f} a second, {each:.1f} µs"
        )
        click.echo(speed, err=True)
    return outcome


def _run_batch(requests: list[Request], jobs: int, fail_fast: bool) -> dict[str, Any]:
    batch = Batch(requests[0].scenario)
    outcomes = run_all(requests, jobs)
    with click.progressbar(outcomes, length=len(requests), file=sys.stderr) as progress:
        for outcome in progress:
            batch.add(outcome)
            if fail_fast and not outcome["ok"]:
                break
    return batch.outcome()


def _show(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome))
        return
    for key, value in outcome.items():
        if isinstance(value, dict):
            click.echo(key)
            for name, inner in value.items():
                click.echo(f"  {name:24} {inner}")
        elif isinstance(value, list):
            for inner in value:
                click.echo(f"{key:16} {inner}")
        else:
            click.echo(f"{key:16} {value}")


if __name__ == "__main__":
    main()
