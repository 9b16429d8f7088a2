"""``python -m simulations list`` and ``python -m simulations run NAME``."""

import json

import click

from simulations.scenarios import SCENARIOS


@click.group()
def main() -> None:
    """Run the cluster's protocol in a world with a virtual clock and network."""


@main.command("list")
def list_scenarios() -> None:
    """Name the scenarios, and what each shows."""
    for name, scenario in SCENARIOS.items():
        click.echo(f"{name:12} {(scenario.__doc__ or '').splitlines()[0]}")


@main.command()
@click.argument("name", type=click.Choice(list(SCENARIOS)))
@click.option("--nodes", type=click.IntRange(1, 1_000), default=10, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.pass_context
def run(context: click.Context, name: str, nodes: int, seed: int, as_json: bool) -> None:
    """Run one scenario. Exit code 1 when it doesn't end as it must."""
    outcome: dict[str, object] = {"scenario": name, "nodes": nodes, "seed": seed}
    try:
        outcome |= {"ok": True, **SCENARIOS[name](nodes, seed)._asdict()}
    except (TimeoutError, AssertionError) as error:
        replay = f"python -m simulations run {name} --nodes {nodes} --seed {seed}"
        outcome |= {"ok": False, "error": str(error), "replay": replay}
    if as_json:
        click.echo(json.dumps(outcome))
    else:
        for key, value in outcome.items():
            click.echo(f"{key:16} {value}")
    context.exit(0 if outcome["ok"] else 1)


if __name__ == "__main__":
    main()
