"""``grapevine reload``."""

import os
import signal
import time
from typing import Any

import click

from node.cli.configuration import configuration_options, gathered
from node.cli.failure import Failure
from node.cli.limits import POLL_SECONDS, RELOAD_SECONDS
from node.cli.running import Facts, RunningNode
from node.cli.whereabouts import facts_known, inquiry, running_node


@click.command("reload")
@configuration_options
def command(**options: Any) -> None:
    """Let a node read its configuration again; returns once new workers serve by it.

    The node reads the file, flags and environment that it was started with. Requests in flight
    finish on the old workers; no connection is refused meanwhile.
    """
    asked = gathered(options)
    node = running_node(asked)
    questions = inquiry(node, asked)
    facts = facts_known(node)
    if asked.conf and os.path.abspath(asked.conf) != facts.conf:
        raise Failure(
            f"the node reads {facts.conf or 'no file'}; to let it read {asked.conf}, use "
            "`grapevine restart`"
        )
    before = questions.worker_pids()
    if questions.possible and not before:
        raise Failure(f"process {node.pid} doesn't answer: {questions.readiness().reason}")
    node.signal(signal.SIGHUP)
    deadline = time.monotonic() + RELOAD_SECONDS
    facts = _until_read(node, facts, deadline)
    if not questions.possible:
        click.echo(f"Grapevine has read its configuration; {facts.log} tells the rest")
        return
    while not (serving := questions.worker_pids()) or serving & before:
        _go_on(node, facts, deadline)
    click.echo("Grapevine reloaded")


def _until_read(node: RunningNode, before: Facts, deadline: float) -> Facts:
    """What the node notes once it has read its configuration. Fails when it refuses that."""
    while (facts := facts_known(node)).reloads == before.reloads:
        _go_on(node, facts, deadline)
    if facts.problems:
        raise Failure("reload refused, the old settings stay", *facts.problems)
    return facts


def _go_on(node: RunningNode, facts: Facts, deadline: float) -> None:
    """One pause of a wait. Fails when there is nothing more to wait for."""
    if not node.runs:
        raise Failure(f"process {node.pid} has ended; {facts.log} says why")
    if time.monotonic() >= deadline:
        raise Failure(
            f"no new workers in {RELOAD_SECONDS:g} s, the old ones go on; {facts.log} says why"
        )
    time.sleep(POLL_SECONDS)
