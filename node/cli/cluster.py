"""``grapevine cluster``: what a running node knows of its cluster, who is in it, and its keys."""

import base64
import json
import os
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import click

from node.admin.limits import FENCE_SECONDS_DEFAULT, FENCE_SECONDS_MAX
from node.cli import authority, keys
from node.cli.admin_api import ADMIN_URL, JSON, admin_api
from node.cli.configuration import configuration_options
from node.cli.failure import Failure, warn
from node.cli.table import aligned
from node.config.values import CLUSTER_KEY_BYTES
from node.logs import escape
from node.named_version import parse_named

REACHABILITY = ("name", "address", "status", "path", "rtt", "heard")
COLUMNS = ("name", "address", "status", "role", "version", "revision", "rtt")


@click.group("cluster")
def command() -> None:
    """Look at the cluster and change it through a running node; make and rotate its keys."""


command.add_command(keys.command)
command.add_command(authority.command)


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
    _print_members(answer, COLUMNS, _rows(answer))


@command.command("reachability")
@ADMIN_URL
@JSON
@configuration_options
def reachability(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """Show how the node reaches each other member, and when it heard of it last."""
    answer = admin_api(admin_url, options).get("/cluster")
    others = _rows(answer)[1:]  # the node itself comes first
    if as_json:
        kept = [{name: row.get(name) for name in REACHABILITY} for row in others]
        click.echo(json.dumps({"data": kept, "total": len(kept)}, indent=2))
        return
    _print_members(answer, REACHABILITY, others)


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Failure("the Admin API's answer holds no list of members; is this a Grapevine node?")
    return rows


def _print_members(answer: Any, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    click.echo(aligned(columns, [[_cell(row, column) for column in columns] for row in rows]))
    notices = answer.get("notices")
    if isinstance(notices, list):
        warn(escape(str(notice)) for notice in notices)


def _cell(member: dict[str, Any], column: str) -> str:
    value = member.get(column)
    if value is None or value == "":
        return "-"
    if isinstance(value, int | float):
        if column == "rtt":
            return f"{value * 1000:.1f}ms"
        if column == "heard":
            return f"{value:.1f}s ago"
    return str(value)


@command.command("join")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@ADMIN_URL
@configuration_options
def join(addresses: Sequence[str], admin_url: str | None, **options: Any) -> None:
    """Let the node look for members at these addresses, now and whenever nobody runs there."""
    api = admin_api(admin_url, options)
    for address in addresses:
        click.echo(_message(api.send("POST", "/cluster", {"address": address})))


@command.command("force-leave")
@click.argument("name")
@ADMIN_URL
@configuration_options
def force_leave(name: str, admin_url: str | None, **options: Any) -> None:
    """Force a member out of the cluster, by its name or its id.

    For a node that is gone for good, or that must be: it can't object, and takes part again when
    it is restarted.
    """
    admin_api(admin_url, options).send("DELETE", f"/cluster/nodes/{quote(name, safe='')}")
    click.echo(f"{escape(name)} was forced out")


@command.command("leave")
@ADMIN_URL
@configuration_options
def leave(admin_url: str | None, **options: Any) -> None:
    """Let the node leave the cluster and stop, as `grapevine stop` does on its own machine."""
    click.echo(_message(admin_api(admin_url, options).send("POST", "/cluster/leave")))


def _message(answer: Any) -> str:
    text = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise Failure("the Admin API's answer has no message; is this a Grapevine node?")
    return escape(text)


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


@command.command("invalidate")
@click.option("--key", metavar="KEY", help="Forget what this cache key names; `-` reads it.")
@click.option("--tag", metavar="TAG", help="Forget what has this tag.")
@ADMIN_URL
@configuration_options
def invalidate(key: str | None, tag: str | None, admin_url: str | None, **options: Any) -> None:
    """Have every node of the cluster forget something that it has cached.

    KEY is as Kong writes it, as in keyauth_credentials:<key>:::::, and `-` reads it from standard
    input, which keeps it out of the list of processes.
    """
    if (key is None) == (tag is None):
        raise click.UsageError("expected exactly one of --key and --tag")
    if key == "-":
        key = sys.stdin.readline().strip()
    body = {"tag": tag} if key is None else {"key": key}
    answer = admin_api(admin_url, options).send("POST", "/cluster/invalidate", body)
    try:
        origin, sequence = escape(str(answer["origin"])), int(answer["sequence"])
    except (TypeError, KeyError, ValueError):
        raise Failure("the Admin API's answer names no purge; is this a Grapevine node?") from None
    click.echo(f"purge {sequence} of {origin} is under way to every node")


@command.command("fence")
@click.argument("revision")
@click.option(
    "--timeout",
    type=click.FloatRange(0, FENCE_SECONDS_MAX, min_open=True),
    default=FENCE_SECONDS_DEFAULT,
    show_default=True,
    help="Seconds to wait for everyone.",
)
@ADMIN_URL
@JSON
@configuration_options
def fence(
    revision: str, timeout: float, admin_url: str | None, as_json: bool, **options: Any
) -> None:
    """Wait until every member of the cluster serves a REVISION.

    REVISION is what a write's Grapevine-Revision says. Exits with 1 when some don't have it in
    time, and says who.
    """
    try:
        parse_named(revision)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="REVISION") from None
    query = urlencode({"fence": revision, "timeout": f"{timeout:g}"})
    api = admin_api(admin_url, options)
    answer = api.get(f"/cluster/revision?{query}", seconds=timeout)
    complete = answer.get("complete") if isinstance(answer, dict) else None
    if not isinstance(complete, bool):
        raise Failure("the Admin API's answer tells of no fence; is this a Grapevine node?")
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    elif complete:
        click.echo(f"{escape(str(answer['revision']))}: all {answer['members']} members serve it")
    if not complete:
        raise Failure(f"{revision} isn't everywhere: {_laggards(answer)}")


def _laggards(answer: dict[str, Any]) -> str:
    told = []
    for kind in ("missing", "unreachable"):
        names, total = answer.get(kind), answer.get(f"{kind}_total")
        if isinstance(names, list) and names:
            more = total - len(names) if isinstance(total, int) else 0
            shown = ", ".join(escape(str(name)) for name in names)
            told.append(f"{kind}: {shown}" + (f" and {more} more" if more > 0 else ""))
    return "; ".join(told) or "the node takes no part in the cluster, and can ask nobody"


@command.command("keygen")
def keygen() -> None:
    """Make a key for cluster_encrypt_key: 32 random bytes in base64."""
    click.echo(base64.b64encode(os.urandom(CLUSTER_KEY_BYTES)).decode())
