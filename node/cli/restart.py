"""``grapevine restart``."""

from typing import Any

import click

from node.cli.configuration import configuration_options, gathered, settings
from node.cli.running import find
from node.cli.start import DB_TIMEOUT, RUN_MIGRATIONS, migrate, start
from node.cli.stop import stop
from node.cli.whereabouts import like, prefix_of


@click.command("restart")
@RUN_MIGRATIONS
@DB_TIMEOUT
@configuration_options
@click.pass_context
def command(
    context: click.Context, /, run_migrations: bool, db_timeout: float, **options: Any
) -> None:
    """Stop a node if it runs, then start it.

    With -p alone the file is taken that the node was started with. Nothing is stopped for a
    configuration that a node couldn't start with.
    """
    asked = gathered(options)
    prefix = prefix_of(asked)
    asked = like(asked, prefix)
    found = settings(asked)
    if run_migrations:
        migrate(context, asked, db_timeout)
    node = find(prefix)
    if node is not None:
        stop(node)
        click.echo("Grapevine stopped")
    start(found, asked, db_timeout)
