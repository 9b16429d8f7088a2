"""How a command ends when it can't do what was asked: a message, never a traceback."""

from collections.abc import Iterable
from typing import IO, Any

import click


class Failure(click.ClickException):
    """Ends the command with messages on stderr, a line each, and exit code 1."""

    exit_code = 1

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages

    def show(self, file: IO[Any] | None = None) -> None:
        for message in self.messages:
            click.echo(f"error: {message}", err=True, file=file)


class NotRunning(Failure):
    """Ends the command with exit code 3: no node is there to be asked."""

    exit_code = 3


def warn(messages: Iterable[str]) -> None:
    """Warnings on stderr, a line each."""
    for message in messages:
        click.echo(f"warning: {message}", err=True)
