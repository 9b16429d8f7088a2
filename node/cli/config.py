"""``grapevine config``: declarative files, checked, and moved into and out of the database."""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from node.agent.authorities import make_authority
from node.cli.configuration import configuration_options, gathered, settings
from node.cli.failure import Failure
from node.config import plugins
from node.config.settings import Settings
from store.authority import Authority, Committed, Replace
from store.declarative.bring import Bringer, Brought, bring
from store.declarative.difference import Difference
from store.declarative.document import read_document
from store.declarative.export import export_changes
from store.declarative.standing import StateTooLarge, WholeState
from store.errors import AuthorityUnavailable, EntityError
from store.history import EPOCHS
from store.limits import DOCUMENT_BYTES_MAX, STATE_ROWS_MAX
from store.schema import kinds
from store.schema.violations import DECLARATIVE_INVALID

ORIGIN = "grapevine config db_import"
"""Who wrote, in the log of the authority."""

SAMPLE = """\
# A declarative configuration, in Kong's format. Check it with `grapevine config parse`, and load it
# into the database with `grapevine config db_import`, or start nodes with `database = off` and
# `declarative_config` naming it.
_format_version: "3.0"
_transform: true

# Services are where traffic goes; their routes say which.
#
# services:
# - name: example
#   url: http://example.test:8080/base
#   routes:
#   - name: example
#     paths:
#     - /example
"""

_FILE = click.argument("file", type=click.Path(dir_okay=False), default="kong.yml")


@click.group("config")
def command() -> None:
    """Check declarative files; load them into the database, or write one from it."""


@command.command("init")
@_FILE
def init(file: str) -> None:
    """Write a commented FILE (kong.yml) to begin with."""
    _write_new(Path(file), [SAMPLE])
    click.echo(f"{file}: written")


@command.command("parse")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def parse(file: str) -> None:
    """Check a declarative FILE. Nothing is changed, and no database is asked."""
    try:
        read_document(_text(file))
    except EntityError as error:
        raise _refused(file, error) from None
    click.echo("parse successful")


@command.command("db_import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@configuration_options
def db_import(file: str, dry_run: bool, **options: Any) -> None:
    """Put what a declarative FILE says into the database, all of it or nothing.

    Entities that are there already become as the file has them; none is deleted. Running nodes have
    it a moment later.
    """
    found = _with_database(settings(gathered(options)))
    text = _text(file)
    try:
        brought = asyncio.run(_import(found, text, dry_run))
    except EntityError as error:
        raise _refused(file, error) from None
    except StateTooLarge as error:
        raise Failure(str(error)) from None
    changes = brought.difference
    created, changed = len(changes.created), len(changes.changed)
    if brought.committed is None:
        for line in _lines(changes):
            click.echo(line)
        same = changes.unchanged
        click.echo(f"dry run: {created} to create, {changed} to change, {same} as they should be")
    else:
        entities = created + changed + changes.unchanged
        revision = brought.committed.head.version
        click.echo(f"import successful: {entities} entities, revision {revision}")


@command.command("db_export")
@_FILE
@configuration_options
def db_export(file: str, **options: Any) -> None:
    """Write everything in the database to a declarative FILE (kong.yml); `-` is standard output."""
    found = _with_database(settings(gathered(options)))
    pieces = asyncio.run(_export(found))
    if file == "-":
        click.echo("".join(pieces), nl=False)
    else:
        _write_new(Path(file), pieces)


def _with_database(found: Settings) -> Settings:
    if found.database == "off":
        raise Failure("database = off: there is no database; POST the file to /config of any node")
    return found


def _refused(file: str, error: EntityError) -> Failure:
    """Everything that is wrong with a document, or why it can't be put there."""
    if error.code != DECLARATIVE_INVALID:
        return Failure(f"{file}: {error.message}")
    return Failure(f"{file}: declarative config is invalid:", *described(error.fields))


def _lines(changes: Difference) -> Iterator[str]:
    """A line for each entity: no value of it but its name."""
    for verb, touched in (("create", changes.created), ("change", changes.changed)):
        for one in touched:
            fields = f": {', '.join(one.fields)}" if one.fields else ""
            yield f"{verb} {one.kind} {one.name or one.id}{fields}"


def _text(file: str) -> str:
    """The text of a file, or of standard input."""
    try:
        with click.open_file(file, "rb") as opened:
            data: bytes = opened.read(DOCUMENT_BYTES_MAX + 1)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from None


def described(errors: Mapping[str, Any], indent: str = "  ") -> list[str]:
    """The errors of a document, a line each, under the entries that they are in."""
    lines = []
    for name, error in errors.items():
        if isinstance(error, str):
            lines.append(f"{indent}in '{name}': {error}")
            continue
        lines.append(f"{indent}in '{name}':")
        if isinstance(error, Mapping):
            lines += described(error, indent + "  ")
            continue
        for number, entry in enumerate(error, 1):
            if isinstance(entry, str):
                lines.append(f"{indent}  - in entry {number} of '{name}': {entry}")
            elif entry is not None:
                lines.append(f"{indent}  - in entry {number} of '{name}':")
                lines += described(entry, indent + "    ")
    return lines


def _write_new(path: Path, pieces: Sequence[str]) -> None:
    """Write a file that isn't there yet, for its owner only: it may hold credentials."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise Failure(f"{path}: already exists") from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.writelines(pieces)


@contextlib.asynccontextmanager
async def _opened(found: Settings) -> AsyncIterator[Authority]:
    authority = make_authority(found)
    try:
        await authority.open()
        yield authority
    except AuthorityUnavailable as error:
        raise Failure(str(error)) from None
    finally:
        await authority.close()


async def _import(found: Settings, text: str, dry_run: bool) -> Brought:
    async with _opened(found) as authority:

        async def see(state: WholeState) -> None:
            await authority.walk(state, STATE_ROWS_MAX)

        async def commit(replace: Replace) -> Committed:
            return await authority.write([replace], origin=ORIGIN, write_id=uuid.uuid4().bytes)

        bringer = Bringer(see, commit, time.time, plugins.schemas(found.plugins))
        return await bring(text, bringer, prune=False, compare_only=dry_run)


async def _export(found: Settings) -> list[str]:
    async with _opened(found) as authority:
        state = await authority.state()
    unknown = sorted({change.kind for change in state.entities} - {*kinds(), EPOCHS})
    if unknown:
        click.echo(f"left out, as this version doesn't know them: {', '.join(unknown)}", err=True)
    return list(export_changes(state.entities))
