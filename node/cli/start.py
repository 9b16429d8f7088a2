"""``grapevine start``."""

import subprocess
import time
from collections.abc import Iterable
from typing import Any

import click

from node.agent.prefix import PrefixError, prepare_prefix
from node.cli.configuration import Asked, configuration_options, gathered, settings
from node.cli.daemon import LogTail, spawn
from node.cli.failure import Failure, warn
from node.cli.limits import POLL_SECONDS, REASON_SETTLED_SECONDS
from node.cli.readiness import Inquiry, Readiness
from node.cli.running import RunningNode, facts_of, find
from node.config.listen import ListenAddress
from node.config.settings import Settings
from node.logs import escape

DB_TIMEOUT = click.option(
    "--db-timeout",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a database that can't be reached or isn't prepared.",
)
RUN_MIGRATIONS = click.option(
    "--run-migrations", is_flag=True, help="Prepare the database first, as far as it needs it."
)


@click.command("start")
@RUN_MIGRATIONS
@DB_TIMEOUT
@configuration_options
@click.pass_context
def command(
    context: click.Context, /, run_migrations: bool, db_timeout: float, **options: Any
) -> None:
    """Start a node in the background; returns once it serves.

    A node that waits for its database is left running and told of with exit code 1.
    """
    asked = gathered(options)
    found = settings(asked)
    refuse_second(found)
    if run_migrations:
        migrate(context, asked, db_timeout)
    start(found, asked, db_timeout)


def refuse_second(found: Settings) -> None:
    """Fails when a node runs in this prefix."""
    if find(found.prefix) is not None:
        raise Failure(f"Grapevine is already running in {found.prefix}")


def migrate(context: click.Context, asked: Asked, db_timeout: float) -> None:
    """What ``migrations bootstrap`` and ``migrations up`` do."""
    from node.cli import migrations

    for step in (migrations.bootstrap, migrations.up):
        context.invoke(step, db_timeout=db_timeout, **asked._asdict())


def start(found: Settings, asked: Asked, db_timeout: float) -> None:
    """Start the daemon and wait until it serves; tells what came of it."""
    warn(found.warnings)
    try:
        prepare_prefix(found.prefix)
    except PrefixError as error:
        raise Failure(str(error)) from None
    log = LogTail(found)
    daemon = spawn(found, asked)
    ready = _until_ready(found, daemon, log, db_timeout)
    click.echo("Grapevine started")
    for line in _addresses(found, daemon.pid):
        click.echo(f"  {line}")
    if not ready.ready:
        warn([ready.reason])


def _until_ready(
    found: Settings, daemon: "subprocess.Popen[bytes]", log: LogTail, db_timeout: float
) -> Readiness:
    """The node's first good answer, or the last one when nothing can be asked."""
    inquiry = Inquiry(found.prefix, facts_of(found), lambda: found.admin_token)
    node = RunningNode(found.prefix, daemon.pid)
    deadline = time.monotonic() + db_timeout
    reason, since, told = "", 0.0, ""
    while True:
        code = daemon.poll()
        if code is not None:
            raise Failure(f"Grapevine did not start (exit code {code}); {_explanation(log)}")
        readiness = inquiry.readiness()
        if (readiness.ready or not inquiry.possible) and node.runs:
            return readiness
        now = time.monotonic()
        if readiness.reason != reason:
            reason, since = readiness.reason, now
        elif readiness.answered and reason != told and now - since >= REASON_SETTLED_SECONDS:
            told = reason
            click.echo(f"waiting: {escape(reason)}", err=True)
        if now >= deadline:
            raise Failure(
                f"Grapevine runs in {found.prefix} (pid {daemon.pid}), but isn't ready after "
                f"{db_timeout:g} s: {escape(reason)}\n  It goes on trying: see `grapevine health`, "
                "or end it with `grapevine stop`."
            )
        time.sleep(POLL_SECONDS)


def _explanation(log: LogTail) -> str:
    lines = log.lines()
    if not lines:
        return "its log says nothing; `grapevine run` shows what happens"
    return "\n  ".join(
        [f"the end of {' and '.join(map(str, log.paths))}:", *(escape(line) for line in lines)]
    )


def _addresses(found: Settings, pid: int) -> Iterable[str]:
    yield f"prefix   {found.prefix} (pid {pid})"
    yield f"conf     {found.source}"
    for name, listeners in (
        ("proxy", found.proxy_listen),
        ("admin", found.admin_listen),
        ("status", found.status_listen),
    ):
        yield f"{name:8} {', '.join(map(_url, listeners)) or 'off'}"
    yield f"cluster  {found.cluster_listen}"


def _url(listener: ListenAddress) -> str:
    return f"{'https' if listener.ssl else 'http'}://{listener.address}"
