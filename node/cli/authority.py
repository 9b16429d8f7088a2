"""``grapevine cluster authority``: whose history is followed, and which of two is kept."""

import json
from typing import Any

import click

from node.cli.admin_api import ADMIN_URL, JSON, admin_api
from node.cli.configuration import configuration_options
from node.cli.failure import Failure
from node.logs import escape

PATH = "/cluster/authority"


@click.group("authority")
def command() -> None:
    """Look at the database's history as a node sees it, and decide between two of them."""


@command.command("status")
@ADMIN_URL
@JSON
@configuration_options
def status(admin_url: str | None, as_json: bool, **options: Any) -> None:
    """Show the database server, its head, and whether there is another one or a lost history."""
    answer = admin_api(admin_url, options).get(PATH)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    try:
        lines = _lines(answer)
    except (TypeError, KeyError):
        raise Failure(
            "the Admin API's answer tells nothing of an authority; is this a Grapevine node?"
        ) from None
    click.echo("\n".join(f"{name:<10} {escape(value)}" for name, value in lines))


@command.command("adopt")
@ADMIN_URL
@click.confirmation_option(
    "--yes",
    prompt="What the other side has written since is then lost to the cluster. Keep this side?",
    help="Don't ask.",
)
@configuration_options
def adopt(admin_url: str | None, **options: Any) -> None:
    """Keep the history of the database that this node uses.

    With two databases at once (`authority split`) its epoch is raised above the other's, and the
    other side refuses writes. Where another database has come into the place of the former one
    (`authority changed`), this node takes it: do that on each node, or restart them.
    """
    answer = admin_api(admin_url, options).send("POST", f"{PATH}/adopt")
    text = answer.get("message") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise Failure("the Admin API's answer has no message; is this a Grapevine node?")
    click.echo(escape(text))


def _lines(answer: Any) -> list[tuple[str, str]]:
    lines = [("authority", str(answer["id"] or "not known yet"))]
    if answer["head"] is not None:
        server = f"{answer['server']} (timeline {answer['timeline']})"
        lines += [("server", server), ("head", _head(answer["head"]))]
    lines.append(("confirmed", _head(answer["confirmed"])))
    if not answer["reachable"]:
        lines.append(("away", str(answer["reason"])))
    split, changed = answer["split"], answer["changed"]
    if split is not None:
        other = split["other"]
        lines.append(
            (
                "split",
                f"writes are {split['writes']} here; the other is {other['server']}"
                f" (timeline {other['timeline']}), at {_head(other['head'])}",
            )
        )
    if changed is not None:
        lines.append(("changed", f"serves {changed['serves']}, found {changed['found']}"))
    lines += [("abandoned", str(path)) for path in answer["abandoned"]]
    return lines


def _head(head: Any) -> str:
    return f"{head['revision']} {head['digest'][:16]}"
