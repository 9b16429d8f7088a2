"""The options by which every command finds its configuration, and the reading of it."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from node.cli.failure import Failure
from node.config import conf_file
from node.config.load import ConfigError, load
from node.config.settings import SECTIONS, Settings, keys

F = TypeVar("F", bound=Callable[..., Any])


class Asked(NamedTuple):
    """What the command line says about the configuration."""

    conf: str | None
    prefix: str | None
    assignments: tuple[str, ...]
    ignored: str
    verbose: bool
    very_verbose: bool


def configuration_options(command: F) -> F:
    """Adds the options; the command gets them as one ``asked: Asked`` by ``gathered``."""
    options = (
        click.option("-c", "--conf", metavar="FILE", help="Configuration file."),
        click.option("-p", "--prefix", metavar="DIR", help="The node's directory (key `prefix`)."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="A key's value, above file and environment. Other users of the machine can see "
            "it: keep secrets in the file or the environment.",
        ),
        click.option(
            "--ignore-unsupported",
            "ignored",
            default="",
            metavar="KEY,…",
            help="Unsupported keys of Kong's to pass over although they mean something.",
        ),
        click.option("--v", "verbose", is_flag=True, help="Say what is read from where."),
        click.option("--vv", "very_verbose", is_flag=True, help="Print every key, too."),
        click.option(
            "--keys",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_list_keys,
            help="List every key with its default and meaning.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _list_keys(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    formatter = context.make_formatter()
    sections: dict[str, list[tuple[str, str]]] = {}
    for row in keys():
        if row.field in SECTIONS:
            lines = sections.setdefault(SECTIONS[row.field], [])
        unit = f" ({row.unit})" if row.unit else ""
        lines.append((row.name, f"{row.doc}{unit} Default: {row.default_text}".replace("`", "")))
    for title, lines in sections.items():
        with formatter.section(title):
            formatter.write_dl(lines)
    click.echo(formatter.getvalue().strip())
    context.exit()


def gathered(options: dict[str, Any]) -> Asked:
    """The configuration options out of a command's keyword arguments (removed from them)."""
    return Asked(**{name: options.pop(name) for name in Asked._fields})


def read(asked: Asked) -> Settings:
    """Read the configuration as asked. Raises ConfigError."""
    overrides = dict(_assignment(text) for text in asked.assignments)
    if asked.prefix is not None:
        overrides["prefix"] = asked.prefix
    ignored = {key.strip() for key in asked.ignored.split(",")} - {""}
    return load(asked.conf, overrides, os.environ, ignore_unsupported=ignored)


def settings(asked: Asked) -> Settings:
    """Read the configuration as asked. Ends the command with every problem there is."""
    if asked.verbose or asked.very_verbose:
        _tell_search(asked.conf)
    try:
        found = read(asked)
    except ConfigError as error:
        raise Failure(*error.problems) from None
    if asked.verbose or asked.very_verbose:
        _tell(found, everything=asked.very_verbose)
    return found


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        # The text isn't repeated: it may be a secret typed without its key.
        raise click.UsageError("--set takes KEY=VALUE, e.g. --set log_level=debug")
    return key.strip(), value


def _tell_search(conf: str | None) -> None:
    taken = conf or conf_file.find()
    for path in (conf,) if conf else conf_file.SEARCHED_PATHS:
        click.echo(f"configuration file {path}: {'read' if path == taken else 'passed'}", err=True)


def _tell(found: Settings, *, everything: bool) -> None:
    click.echo(f"database {found.database}: {found.database_reason}", err=True)
    if not everything:
        return
    for key, value in sorted(found.public().items()):
        origin = found.origins.get(key, "default")
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{key} = {'' if shown is None else shown}  # {origin}", err=True)
