"""``python -m simulations list | run | replay | shrink | report | mutants | mutate | real``."""

import click

from simulations.commands.mistakes import hunt_mutants, mutate
from simulations.commands.page import write_report
from simulations.commands.running import list_scenarios, replay, run_scenario
from simulations.commands.shrinking import shrink
from simulations.real.command import command as real


@click.group()
def main() -> None:
    """Run the cluster's protocol in a world with a virtual clock and network.

    Exit codes: 0 all ended as they must, 1 something didn't, 2 usage, 130 stopped by Ctrl-C.
    """


for command in (
    list_scenarios, run_scenario, replay, shrink, write_report, hunt_mutants, mutate, real,
):  # fmt: skip
    main.add_command(command)

if __name__ == "__main__":
    main()
