"""``grapevine check``."""

from typing import Any

import click

from node.cli.configuration import configuration_options, gathered, settings
from node.cli.failure import warn


@click.command("check")
@click.argument("file", required=False, metavar="[CONF]")
@configuration_options
def command(file: str | None, **options: Any) -> None:
    """Check a configuration, the environment included, and print every problem.

    Exits with 0 if a node could start with it, else with 1.
    """
    asked = gathered(options)
    if file and asked.conf and file != asked.conf:
        raise click.UsageError("CONF and -c name two files; name one")
    found = settings(asked._replace(conf=file or asked.conf))
    warn(found.warnings)
    where = "" if found.source == "none" else f" at {click.format_filename(found.source)}"
    click.echo(f"configuration{where} is valid")
