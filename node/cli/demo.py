"""``grapevine demo``."""

import asyncio
import sys

import click

from node.demo.ports import NODES_MAX


@click.command("demo")
@click.option(
    "--nodes",
    type=click.IntRange(1, NODES_MAX),
    default=3,
    show_default=True,
    help="How many nodes to start.",
)
@click.option(
    "--base-port",
    type=click.IntRange(1, 65535),
    default=None,
    help="First port; node i's ports are 100·(i-1) higher.  [default: 8000, or the next free base]",
)
@click.option(
    "--database",
    type=click.Choice(["sqlite", "postgres"]),
    default="sqlite",
    show_default=True,
    help="The authority that the nodes share; for postgres the machine's own binaries are started.",
)
@click.option("--plain", is_flag=True, help="Print lines, also on a terminal.")
def command(nodes: int, base_port: int | None, database: str, plain: bool) -> None:
    """Start a cluster on this machine, with a sample upstream, service and route, and watch it.

    Runs until Ctrl-C (or SIGTERM, or q) and leaves nothing behind. On a terminal it is a live view:
    Tab chooses a node, k kills it and r revives it, p parts the nodes in two and heals them, and c
    changes a route and shows how long the change took to each node. Elsewhere, with TERM=dumb and
    with --plain it is a line for whatever happens.
    """
    from node.demo.run import run_demo

    sys.exit(asyncio.run(run_demo(nodes, base_port, database, plain=plain)))
