"""``grapevine cluster``: what a running node knows of its cluster; and a new cluster key."""

import base64
import json
import os
from typing import Any

import click

from node.cli import keys
from node.cli.admin_api import ADMIN_URL, JSON, admin_api
from node.cli.configuration import configuration_options
from node.cli.failure import Failure
from node.cli.table import aligned
from node.config.values import CLUSTER_KEY_BYTES

COLUMNS = ("name", "address", "status", "role", "version", "revision", "rtt")


@click.group("cluster")
def command() -> None:
    """Look at the cluster through a running node; make and rotate its keys."""


command.add_command(keys.command)


@command.command("members")
@ADMIN_URL
@JSON
@configuration_options
def members(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """List the members that the node knows, itself included."""
    answer = admin_api(admin_url, options).get("/cluster")
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
@ADMIN_URL
@JSON
@configuration_options
def revision(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """Print the revision that the node serves."""
    answer = admin_api(admin_url, options).get("/cluster/revision")
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
