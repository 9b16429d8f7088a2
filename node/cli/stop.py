"""``grapevine stop`` and ``grapevine quit``."""

import signal
import time
from typing import Any

import click

from node.cli.configuration import configuration_options, gathered
from node.cli.failure import Failure, warn
from node.cli.limits import FORCE_REPEAT_SECONDS, STOP_GRACE_SECONDS
from node.cli.running import RunningNode, shutdown_timeout
from node.cli.whereabouts import running_node

SECONDS_MAX = 86_400


@click.command("stop")
@configuration_options
def command(**options: Any) -> None:
    """Stop a node: it leaves, and requests in flight get shutdown_timeout to finish."""
    stop(running_node(gathered(options)))
    click.echo("Grapevine stopped")


def stop(node: RunningNode) -> None:
    """TERM, and KILL for a node that is still there when its time is long over."""
    patience = shutdown_timeout(node.prefix) + STOP_GRACE_SECONDS
    node.signal(signal.SIGTERM)
    if not node.ends_within(patience):
        _kill(node, f"did not stop in {patience:g} s")


@click.command("quit")
@click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(0, SECONDS_MAX),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long requests in flight may take; then the node is stopped at once.",
)
@click.option(
    "-w",
    "--wait",
    type=click.FloatRange(0, SECONDS_MAX),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait before the node is told, e.g. for balancers to look elsewhere.",
)
@configuration_options
def quit_command(timeout: float, wait: float, **options: Any) -> None:
    """Stop a node after its requests in flight, within a time of your choice."""
    node = running_node(gathered(options))
    if not node.ends_within(wait):
        node.signal(signal.SIGQUIT)
        if not node.ends_within(timeout):
            _force(node, timeout)
    click.echo("Grapevine stopped")


def _force(node: RunningNode, seconds: float) -> None:
    """A second signal ends a draining node at once."""
    warn([f"requests were still in flight after {seconds:g} s; they are cut off"])
    deadline = time.monotonic() + STOP_GRACE_SECONDS
    while time.monotonic() < deadline:
        node.signal(signal.SIGTERM)
        if node.ends_within(FORCE_REPEAT_SECONDS):
            return
    _kill(node, f"did not obey in {STOP_GRACE_SECONDS:g} s more")


def _kill(node: RunningNode, why: str) -> None:
    warn([f"process {node.pid} {why}; it is killed"])
    node.kill()
    if not node.ends_within(STOP_GRACE_SECONDS):
        raise Failure(f"process {node.pid} can't be killed; it waits inside the kernel")
