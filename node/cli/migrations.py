"""``grapevine migrations``: prepares the authority's database."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import click

from node.agent.authorities import make_migrations
from node.agent.prefix import PrefixError, prepare_prefix
from node.cli.attempts import Attempts
from node.cli.configuration import configuration_options, gathered, settings
from node.cli.failure import Failure
from store.errors import AuthorityUnavailable, MigrationRefused, SchemaMismatch

Answer = TypeVar("Answer")

_DB_TIMEOUT = click.option(
    "--db-timeout",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a database that can't be reached is tried again.",
)


@click.group("migrations")
def command() -> None:
    """Prepare the database: `bootstrap` once, `up` and `finish` at an upgrade."""


@command.command("bootstrap")
@_DB_TIMEOUT
@configuration_options
def bootstrap(db_timeout: float, **options: Any) -> None:
    """Make the tables, the authority's id and the cluster key. Does nothing the second time."""
    found = settings(gathered(options))
    if found.database == "sqlite" and found.sqlite_path.parent == found.prefix:
        try:
            prepare_prefix(found.prefix)
        except PrefixError as error:
            raise Failure(str(error)) from None
    migrations = make_migrations(found)
    made = _run(migrations.bootstrap, db_timeout)
    done = "bootstrapped" if made.created else "already bootstrapped"
    click.echo(f"database {done}: {migrations.target} (authority {made.info.id})")


@command.command("up")
@_DB_TIMEOUT
@configuration_options
def up(db_timeout: float, **options: Any) -> None:
    """Run what is pending before nodes of this version start; the old ones go on."""
    found = settings(gathered(options))
    _tell_run(_run(make_migrations(found).up, db_timeout))


@command.command("finish")
@_DB_TIMEOUT
@configuration_options
def finish(db_timeout: float, **options: Any) -> None:
    """Run what is pending after the last node of the old version is gone."""
    found = settings(gathered(options))
    _tell_run(_run(make_migrations(found).finish, db_timeout))


@command.command("list")
@_DB_TIMEOUT
@configuration_options
def list_all(db_timeout: float, **options: Any) -> None:
    """List the migrations, those that were run and those that are pending."""
    state = _run(make_migrations(settings(gathered(options))).status, db_timeout)
    for label in state.applied:
        click.echo(f"{'newer' if label in state.newer else 'run':<8} {label}")
    for label in (*state.pending_pre, *state.pending_post):
        click.echo(f"pending  {label}")


@command.command("status")
@_DB_TIMEOUT
@configuration_options
def status(db_timeout: float, **options: Any) -> None:
    """Say what is to be done next. Exits with 1 unless the database is up to date."""
    state = _run(make_migrations(settings(gathered(options))).status, db_timeout)
    if not state.bootstrapped:
        click.echo("database needs bootstrapping; run 'grapevine migrations bootstrap'")
    elif state.pending_pre:
        click.echo(f"{len(state.pending_pre)} to run; run 'grapevine migrations up'")
    elif state.pending_post:
        click.echo(
            f"{len(state.pending_post)} to finish; once all nodes run this version, run "
            "'grapevine migrations finish'"
        )
    elif any(label.endswith(".post") for label in state.newer):
        click.echo(f"migrated by a newer version ({', '.join(state.newer)}); upgrade this one")
    elif state.newer:
        click.echo(
            f"a newer version is being rolled out ({', '.join(state.newer)}); this one may run"
            " until 'grapevine migrations finish' is run with the newer one"
        )
        return
    else:
        click.echo("database is up to date")
        return
    sys.exit(Failure.exit_code)


@command.command("reset")
@click.option("--confirm", metavar="NAME", help="The database's name, instead of typing it.")
@_DB_TIMEOUT
@configuration_options
def reset(confirm: str | None, db_timeout: float, **options: Any) -> None:
    """Drop everything of ours. Wants the name of the database (of SQLite's file) typed."""
    migrations = make_migrations(settings(gathered(options)))
    name = migrations.confirmation
    if confirm is None:
        if not sys.stdin.isatty():
            raise click.UsageError(f"there is no terminal to ask; give --confirm {name}")
        confirm = click.prompt(f"Type {name} to drop everything of ours in {migrations.target}")
    typed = confirm
    _run(lambda: migrations.reset(typed), db_timeout)
    click.echo(f"database emptied: {migrations.target}")


def _tell_run(labels: Iterable[str]) -> None:
    labels = tuple(labels)
    for label in labels:
        click.echo(f"run      {label}")
    if not labels:
        click.echo("nothing is pending")


def _run(call: Callable[[], Awaitable[Answer]], db_timeout: float) -> Answer:
    """Run a migration command, again and again while the database can't be reached."""

    async def attempt() -> Answer:
        return await call()

    attempts = Attempts(db_timeout, time.monotonic())
    while True:
        try:
            return asyncio.run(attempt())
        except (MigrationRefused, SchemaMismatch) as error:
            raise Failure(str(error)) from None
        except AuthorityUnavailable as error:
            pause = attempts.pause(time.monotonic())
            if pause is None:
                raise Failure(str(error)) from None
            click.echo(f"waiting: {error}", err=True)
        time.sleep(pause)
