"""The ``grapevine`` command.

Only click is imported here; each subcommand lives in a module of its own that is imported when it
is called, so that ``--help`` and a shell's completion answer at once. Exit codes: 0 done, 1 failed,
2 usage, 3 not running.
"""

import importlib
from typing import NamedTuple

import click

from node.cli.importing import uncollected


class Subcommand(NamedTuple):
    """Where a subcommand lives, and its line in the list of commands."""

    module: str
    summary: str
    attribute: str = "command"
    """The click command in the module."""


SUBCOMMANDS = {
    "start": Subcommand("node.cli.start", "Start a node in the background."),
    "stop": Subcommand("node.cli.stop", "Stop a node."),
    "quit": Subcommand("node.cli.stop", "Stop a node after its requests.", "quit_command"),
    "restart": Subcommand("node.cli.restart", "Stop a node, then start it."),
    "reload": Subcommand("node.cli.reload", "Let a node read its configuration again."),
    "health": Subcommand("node.cli.health", "Say whether a node serves."),
    "run": Subcommand("node.cli.run", "Run a node in the foreground."),
    "migrations": Subcommand("node.cli.migrations", "Prepare the database."),
    "config": Subcommand("node.cli.config", "Check, load and write declarative files."),
    "cluster": Subcommand("node.cli.cluster", "Look at the cluster; make its key."),
    "top": Subcommand("node.cli.top", "Watch a running cluster live."),
    "check": Subcommand("node.cli.check", "Check a configuration without starting anything."),
    "demo": Subcommand("node.cli.demo", "Run a cluster on this machine, with something to try."),
    "version": Subcommand("node.cli.version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = SUBCOMMANDS.get(cmd_name)
        if found is None:
            return None
        with uncollected():
            module = importlib.import_module(found.module)
        command: click.Command = getattr(module, found.attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in SUBCOMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}; there are {', '.join(SUBCOMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, made.summary) for name, made in SUBCOMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Grapevine: a leaderless API gateway cluster that speaks Kong 3.9's language."""
