"""``grapevine top``."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import click

from node.admin_client import AdminClient
from node.cli.configuration import configuration_options, gathered, settings
from node.cli.failure import Failure
from node.top.limits import SOURCES_MAX


@click.command("top")
@click.option(
    "--admin-url",
    "admin_urls",
    metavar="URL",
    multiple=True,
    help="Admin API to ask, instead of the configuration's; once for each node.",
)
@click.option("--plain", is_flag=True, help="Print lines, also on a terminal.")
@configuration_options
def command(admin_urls: Sequence[str], plain: bool, **options: Any) -> None:
    """Watch a running cluster: its members, what each serves, requests, errors, propagation.

    Asks the Admin API of the configuration's node; with --admin-url, of every node that is named.
    Of members that nobody is asked for it shows what the others have heard. It changes nothing; q
    ends it. Without a terminal, and with --plain, it prints a line for whatever happens.
    """
    if len(admin_urls) > SOURCES_MAX:
        raise click.BadParameter(f"at most {SOURCES_MAX}", param_hint="--admin-url")
    found = settings(gathered(options))
    try:
        clients = [
            AdminClient.at(url, found.admin_listen, found.admin_token)
            for url in dict.fromkeys(admin_urls) or (None,)
        ]
    except ValueError as error:
        raise Failure(str(error)) from None
    from node.top.run import run_top
    from node.top.terminal import usable

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    sys.exit(asyncio.run(run_top(clients, say, live=usable(plain))))
