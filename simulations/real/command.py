"""``python -m simulations real``"""

import shutil
import tempfile
from pathlib import Path

import click

from simulations.real import enclosure
from simulations.real.options import (
    NODES_MAX,
    NODES_MIN,
    SECONDS,
    SECONDS_MAX,
    SHORT_SECONDS,
    Options,
)


@click.command("real")
@click.option(
    "--seconds",
    type=click.FloatRange(1, SECONDS_MAX),
    help=f"How long faults are injected: {SECONDS:g}; with --short {SHORT_SECONDS:g}.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of what happens."
)
@click.option(
    "--nodes",
    type=click.IntRange(NODES_MIN, NODES_MAX),
    default=3,
    show_default=True,
    help="Real ones, each with its worker.",
)
@click.option("--faults", help="Some kinds, with commas; all by default. `list` names them.")
@click.option("--short", is_flag=True, help="The form for `make check`.")
@click.option(
    "--where",
    type=click.Choice(["auto", "namespaces", "loopback"]),
    default="auto",
    show_default=True,
    help="In network namespaces (root, Linux), or on loopback, where nothing can be cut.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="An empty folder for logs and history; without it they are kept after a failure only.",
)
@click.pass_context
def command(
    context: click.Context,
    seconds: float | None,
    seed: int,
    nodes: int,
    faults: str | None,
    short: bool,
    where: str,
    keep: Path | None,
) -> None:
    """Run real nodes and a real Postgres pair under load and faults, and check what clients saw.

    Exit codes: 0 every promise held, 1 one didn't, 2 usage, 130 stopped by Ctrl-C.
    """
    obstacle = enclosure.obstacle() if where != "loopback" else "loopback was asked for"
    if where == "namespaces" and obstacle:
        raise click.UsageError(f"namespaces can't be made here: {obstacle}")
    if obstacle:
        click.echo(f"on loopback ({obstacle}): nothing can be cut, disks can't be filled")
    names = _names(faults)
    folder = _folder(keep)
    with tempfile.TemporaryDirectory(prefix="grapevine-real-scratch-") as scratch:
        Path(scratch).chmod(0o711)  # the servers' user passes through to its own files
        options = Options(
            seconds or (SHORT_SECONDS if short else SECONDS), seed, nodes, names, short,
            folder, Path(scratch), not obstacle,
        )  # fmt: skip
        code = enclosure.run_enclosed(options)
    if code == 0 and keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        click.echo(f"history and logs are in {folder}")
    if code not in (0, 130):
        click.echo(f"again: {options.line()}")
    context.exit(code)


def _names(faults: str | None) -> tuple[str, ...]:
    """The kinds that were asked for; others are refused."""
    from simulations.real.faults import FAULTS  # imports the node's side, for this command alone

    known = [fault.name for fault in FAULTS]
    names = tuple(name.strip() for name in faults.split(",")) if faults else ()
    for name in names:
        if name not in known:
            raise click.UsageError(f"no fault is called '{name}'; there are {', '.join(known)}")
    return names


def _folder(keep: Path | None) -> Path:
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="grapevine-real-"))
    else:
        folder = keep.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise click.UsageError(f"{folder} isn't empty")
    return folder
