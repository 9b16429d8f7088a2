"""``shrink``: a failing run, smaller."""

import click

from simulations.commands import INTERRUPTED
from simulations.commands.running import nodes_of, run_scenario, words_of
from simulations.commands.text import show_lines
from simulations.runner import Request
from simulations.settings import SettingError
from simulations.shrinking import NothingFails, Shrinker


@click.command("shrink", context_settings={"ignore_unknown_options": True})
@click.option(
    "--seconds",
    type=click.FloatRange(0.0),
    default=600.0,
    show_default=True,
    help="The smallest run found by then is what counts.",
)
@click.argument("line", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def shrink(context: click.Context, seconds: float, line: tuple[str, ...]) -> None:
    """Make a failing run smaller: LINE is what it printed, quoted.

    Prints what is left of it and the line that replays that. Exit code 1 when there is nothing to
    shrink: the run doesn't fail.
    """
    with run_scenario.make_context("run", words_of(line)[1:]) as asked:
        given = asked.params
    nodes = given["nodes"] if given["nodes"] is not None else nodes_of(given["name"])
    request = Request(given["name"], nodes, given["seed"], given["settings"])
    try:
        shrunk = Shrinker(request, seconds, lambda text: click.echo(text, err=True)).shrink()
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    except NothingFails as error:
        click.echo(str(error), err=True)
        context.exit(1)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        context.exit(INTERRUPTED)
    show_lines(shrunk.operations)
    click.echo(shrunk.outcome["error"])
    how = "nothing more can be left out" if shrunk.finished else "the time is over"
    click.echo(f"{shrunk.runs} runs; {how}; this replays it:")
    click.echo(shrunk.request.line())
