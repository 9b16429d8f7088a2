"""``grapevine cluster``: what a running node knows of its cluster; and a new cluster key."""

import base64
import json
import os
from typing import Any

import click

from node.admin_client import AdminClient, AdminFailed, AdminUnreachable
from node.cli.configuration import configuration_options, gathered, settings
from node.cli.failure import Failure, NotRunning
from node.cli.table import aligned
from node.config.values import CLUSTER_KEY_BYTES

COLUMNS = ("name", "address", "status", "role", "version", "revision", "rtt")


@click.group("cluster")
def command() -> None:
    """Look at the cluster through a running node; make its key."""


def _ask(path: str, admin_url: str | None, options: dict[str, Any]) -> Any:
    """The answer of the Admin API that the configuration (or --admin-url) names."""
    found = settings(gathered(options))
    try:
        client = AdminClient.at(admin_url, found.admin_listen, found.admin_token)
        return client.get(path)
    except ValueError as error:
        raise Failure(str(error)) from None
    except AdminUnreachable as error:
        raise NotRunning(str(error)) from None
    except AdminFailed as error:
        raise Failure(str(error)) from None


_ADMIN_URL = click.option(
    "--admin-url", metavar="URL", help="Admin API to ask, instead of the configuration's."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@command.command("members")
@_ADMIN_URL
@_JSON
@configuration_options
def members(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """List the members that the node knows, itself included."""
    answer = _ask("/cluster", admin_url, options)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Failure("the Admin API's answer holds no list of members; is this a Grapevine node?")
    click.echo(aligned(COLUMNS, [[_cell(row, column) for column in COLUMNS] for row in rows]))


def _cell(member: dict[str, Any], column: str) -> str:
    value = member.get(column)
    if value is None or value == "":
        return "-"
    if column == "rtt" and isinstance(value, int | float):
        return f"{value * 1000:.1f}ms"
    return str(value)


@command.command("revision")
@_ADMIN_URL
@_JSON
@configuration_options
def revision(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """Print the revision that the node serves."""
    answer = _ask("/cluster/revision", admin_url, options)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    served = answer.get("revision") if isinstance(answer, dict) else None
    if not isinstance(served, str | int):
        raise Failure("the Admin API's answer names no revision; is this a Grapevine node?")
    click.echo(served)


@command.command("keygen")
def keygen() -> None:
    """Make a key for cluster_encrypt_key: 32 random bytes in base64."""
    click.echo(base64.b64encode(os.urandom(CLUSTER_KEY_BYTES)).decode())
