"""``grapevine cluster keys``: rotates the cluster's keys through a running node."""

import json
import re
import sys
import time
from typing import Any

import click

from node.cli.admin_api import ADMIN_URL, JSON, AdminApi, admin_api
from node.cli.configuration import configuration_options
from node.cli.failure import Failure
from node.cli.limits import KEY_TEXT_BYTES_MAX, KEYS_POLL_SECONDS, WAIT_SECONDS_MAX
from node.cli.table import aligned
from node.config.values import cluster_key
from node.logs import escape

PATH = "/cluster/keys"
_KEY_ID = re.compile(r"[0-9a-fA-F]{8}")


@click.group("keys")
def command() -> None:
    """List and rotate the cluster's keys: `install` one, `use` it, `remove` the old one."""


@command.command("list")
@ADMIN_URL
@JSON
@configuration_options
def list_all(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """List the keys by their ids, and which members have the last change."""
    answer = admin_api(admin_url, options).get(PATH)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    try:
        rows = [[str(row["id"]), "yes" if row["primary"] else "-"] for row in answer["data"]]
        counter, total = int(answer["counter"]), int(answer["members"]["total"])
        behind = [escape(str(name)) for name in answer["members"]["behind"]]
    except (TypeError, KeyError, ValueError):
        raise _no_keys() from None
    click.echo(aligned(("id", "in use"), rows))
    have = f"change {counter}: {total - len(behind)} of {total} members have it"
    click.echo(have + (f", not yet {', '.join(behind)}" if behind else ""))


@command.command("install")
@click.argument("key", required=False)
@click.option(
    "--wait",
    type=click.FloatRange(0, WAIT_SECONDS_MAX),
    metavar="SECONDS",
    help="Wait until every live member has it; exit with 1 when that takes longer.",
)
@click.option(
    "--force", is_flag=True, help="Replace a keyring in the database that the node can't open."
)
@ADMIN_URL
@configuration_options
def install(
    key: str | None, wait: float | None, force: bool, admin_url: str | None, **options: Any
) -> None:
    """Add a key for reading, and print its id.

    KEY is what `grapevine cluster keygen` prints; `-` reads it from standard input, which keeps it
    out of the list of processes. Without one, the node draws a key that nobody sees.
    """
    body = {} if key is None else {"key": _checked(key)}
    api = admin_api(admin_url, options)
    answer = api.send("POST", f"{PATH}?force=true" if force else PATH, body)
    try:
        shown_id = str(answer["id"])
    except (TypeError, KeyError):
        raise _no_keys() from None
    click.echo(shown_id)
    if wait is not None:
        _wait_for_all(shown_id, wait, api)


@command.command("use")
@click.argument("key_id", metavar="ID")
@ADMIN_URL
@configuration_options
def use(key_id: str, admin_url: str | None, **options: Any) -> None:
    """Send under another key of the list. Refused unless every live member has it."""
    path = _path(key_id)
    admin_api(admin_url, options).send("PATCH", path, {"primary": True})
    click.echo(f"key {key_id} is in use")


@command.command("remove")
@click.argument("key_id", metavar="ID")
@click.option("--force", is_flag=True, help="Also while members may still send under it.")
@ADMIN_URL
@configuration_options
def remove(key_id: str, force: bool, admin_url: str | None, **options: Any) -> None:
    """Forget a key. Refused while a member, also a failed one, may still send under it."""
    path = _path(key_id)
    admin_api(admin_url, options).send("DELETE", f"{path}?force=true" if force else path)
    click.echo(f"key {key_id} is removed")


def _checked(key: str) -> str:
    """A key from the command line or standard input. What is none is not repeated."""
    if key == "-":
        key = sys.stdin.buffer.read(KEY_TEXT_BYTES_MAX).decode("ascii", "replace")
    key = key.strip()
    try:
        cluster_key(key)
    except ValueError as error:
        raise click.UsageError(f"KEY {error}") from None
    return key


def _path(key_id: str) -> str:
    if not _KEY_ID.fullmatch(key_id):
        raise click.UsageError(
            "ID: expected the 8 hexadecimal digits that `grapevine cluster keys list` shows"
        )
    return f"{PATH}/{key_id}"


def _wait_for_all(shown_id: str, seconds: float, api: AdminApi) -> None:
    deadline = time.monotonic() + seconds
    while True:
        answer = api.get(PATH)
        try:
            here = any(row["id"] == shown_id for row in answer["data"])
            behind = [escape(str(name)) for name in answer["members"]["behind"]]
        except (TypeError, KeyError):
            raise _no_keys() from None
        if not here:
            raise Failure(f"key {shown_id} was removed meanwhile")
        if not behind:
            return
        if time.monotonic() >= deadline:
            raise Failure(
                f"key {shown_id} is installed, but after {seconds:g} s not every member has told "
                f"that it has it: {', '.join(behind)}"
            )
        time.sleep(KEYS_POLL_SECONDS)


def _no_keys() -> Failure:
    return Failure("the Admin API's answer holds no keys; is this a Grapevine node?")
