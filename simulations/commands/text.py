"""Lines on standard output."""

from collections.abc import Iterable

import click


def show_lines(lines: Iterable[str]) -> None:
    """Print each."""
    for line in lines:
        click.echo(line)
