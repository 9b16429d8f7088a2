"""``grapevine run``."""

import dataclasses
import os
import sys
from typing import Any

import click

from node.agent.prefix import PrefixError, prepare_prefix
from node.cli.configuration import Asked, configuration_options, gathered, read, settings
from node.cli.daemon import STDERR_FILE, STDOUT_FILE, for_daemon, read_assignments
from node.cli.failure import Failure
from node.cli.importing import uncollected
from node.cli.running import Facts, facts_of, find, note
from node.config.settings import Settings
from node.log_file import take_standard_streams


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
@click.option(
    "--assignments-fd",
    type=int,
    hidden=True,
    callback=_open_descriptor,
    help="A pipe with the values of --set, out of other users' sight.",
)
@click.option(
    "--daemon",
    is_flag=True,
    hidden=True,
    help="Standard output and error are files of the prefix; `start` says so.",
)
@configuration_options
def command(
    lifeline_fd: int | None, assignments_fd: int | None, daemon: bool, **options: Any
) -> None:
    """Run a node in the foreground until TERM or INT stops it.

    For containers and systemd. The log goes to stderr unless proxy_error_log names another place.
    """
    asked = gathered(options)
    if assignments_fd is not None:
        asked = _with_assignments(asked, assignments_fd)
    found = settings(asked)
    with uncollected():  # it takes longer than reading a configuration
        from node.agent.run import run

    try:
        prepare_prefix(found.prefix)
        if find(found.prefix) is not None:
            raise Failure(f"Grapevine is already running in {found.prefix}")
        if daemon:
            found = for_daemon(found)
            take_standard_streams(
                *(str(found.prefix / name) for name in (STDOUT_FILE, STDERR_FILE))
            )
        configuration = _Configuration(asked, found, daemon=daemon)
    except (PrefixError, OSError) as error:
        raise Failure(str(error)) from None
    sys.exit(run(found, configuration, lifeline_fd))


def _with_assignments(asked: Asked, descriptor: int) -> Asked:
    try:
        more = read_assignments(descriptor)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint="--assignments-fd") from None
    return asked._replace(assignments=(*asked.assignments, *more))


class _Configuration:
    """The configuration of a running node, and what commands are told of it."""

    def __init__(self, asked: Asked, found: Settings, *, daemon: bool) -> None:
        self._asked = asked
        self._daemon = daemon
        self._prefix = found.prefix
        self._facts: Facts = facts_of(found)

    def started(self) -> None:
        """Note the facts. Raises OSError."""
        note(self._prefix, self._facts)

    def read_again(self) -> Settings:
        """Read it for a reload. Raises ConfigError."""
        found = read(self._asked)
        return for_daemon(found) if self._daemon else found

    def reloaded(self, problems: tuple[str, ...]) -> None:
        """Note how a reload ended. Raises OSError."""
        reloads = self._facts.reloads + 1
        self._facts = dataclasses.replace(self._facts, reloads=reloads, problems=problems)
        note(self._prefix, self._facts)
