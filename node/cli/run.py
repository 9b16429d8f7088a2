"""``grapevine run``."""

import os
import sys
from typing import Any

import click

from node.cli.configuration import configuration_options, gathered, read, settings


def _open_descriptor(_: click.Context, __: click.Parameter, descriptor: int | None) -> int | None:
    if descriptor is not None:
        try:
            os.fstat(descriptor)
        except (OSError, OverflowError):
            raise click.BadParameter(f"{descriptor} is no open descriptor") from None
    return descriptor


@click.command("run")
@click.option(
    "--lifeline-fd",
    type=int,
    hidden=True,
    callback=_open_descriptor,
    help="A pipe whose end of file stops the node: it doesn't outlive whoever holds the other end.",
)
@configuration_options
def command(lifeline_fd: int | None, **options: Any) -> None:
    """Run a node in the foreground until TERM or INT stops it.

    For containers and systemd. The log goes to stderr unless proxy_error_log names another place.
    """
    asked = gathered(options)
    found = settings(asked)
    from node.agent.run import run  # what it imports takes longer than reading a configuration

    sys.exit(run(found, lambda: read(asked), lifeline_fd))
