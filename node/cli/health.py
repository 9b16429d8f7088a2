"""``grapevine health``."""

from typing import Any

import click

from node.cli.configuration import configuration_options, gathered
from node.cli.failure import Failure
from node.cli.whereabouts import inquiry, running_node
from node.logs import escape


@click.command("health")
@configuration_options
def command(**options: Any) -> None:
    """Say whether a node serves: exit code 0 if so, 1 if it runs but isn't ready, 3 without one."""
    asked = gathered(options)
    node = running_node(asked)
    questions = inquiry(node, asked)
    readiness = questions.readiness()
    if questions.possible and not readiness.ready:
        raise Failure(
            f"Grapevine runs in {node.prefix} (pid {node.pid}), but isn't ready: "
            f"{escape(readiness.reason)}"
        )
    known = "is healthy" if readiness.ready else f"runs ({readiness.reason})"
    click.echo(f"Grapevine {known} in {node.prefix} (pid {node.pid})")
