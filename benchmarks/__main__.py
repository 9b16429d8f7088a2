"""One page of what a cluster costs and how fast it is: ``make bench``.

Runs the benchmarks that tell most, one after the other, each a process of its own, and prints their
figures as tables (in Markdown), with the machine and its load named. A section whose program fails
is told with the end of what it printed; the others are run all the same, and the exit code is 1.

    python -m benchmarks [--short] [--only propagation,fence,detection,proxy,writes,repair,memory]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from benchmarks.machine import exchange_microseconds, machine, processor
from benchmarks.sections import SECTIONS, Figures, Row, Section

LAST_LINES = 12
"""Of what a failed program printed."""
STOP_SECONDS = 30.0
"""A program may take to stop what it started."""
LEFT_OUT = " is left out: "
"""What a benchmark prints of a peer that isn't there."""
ABOUT_RATIOS = (
    "On virtual machines a system call and a packet cost every program more than on bare metal; as "
    "all that are compared pay that alike, it compresses the ratios between them."
)


class Outcome(NamedTuple):
    """What came of a section's program."""

    figures: Sequence[Figures]
    notes: Sequence[str]
    failure: str
    """Empty when there was none."""


def run(section: Section, *, short: bool) -> Outcome:
    """Run its program to the end, which its ``seconds_max`` bounds."""
    program = [sys.executable, "-m", *(section.short if short else section.arguments)]
    # Of a session of its own: it gets the one SIGINT that has it clean up from us.
    process = subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},  # else what it said last stands first
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=section.seconds_max)
    except subprocess.TimeoutExpired:
        return Outcome((), (), f"not done after {section.seconds_max:g} s")
    finally:
        stop(process)
    lines = printed.splitlines()
    figures = [json.loads(line) for line in lines if line.startswith("{")]
    notes = [line for line in lines if LEFT_OUT in line]
    notes += [note for line in figures for note in line.get("notes", ())]
    failure = ""
    if process.returncode:
        failure = "\n".join((f"ended with {process.returncode}:", *lines[-LAST_LINES:]))
    elif not figures:
        failure = "printed no figures"
    return Outcome(figures, notes, failure)


def stop(process: "subprocess.Popen[str]") -> None:
    """End it as Ctrl-C does, if it runs; by force when it doesn't clean up in time."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def table(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """A table in Markdown whose columns stand in line, too."""
    lines = [tuple(columns), *((row.what, row.ours, row.beside, row.ratio) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    ruler = tuple("-" * width for width in widths)
    for line in (lines[0], ruler, *lines[1:]):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield f"| {' | '.join(cells)} |"


def show(section: Section, outcome: Outcome, arguments: Sequence[str], load: float) -> None:
    """The section's part of the page."""
    print(f"\n## {section.title}\n")
    rows = list(section.rows(outcome.figures))
    if rows:
        print("\n".join(table(section.columns, rows)))
        print()
    for note in outcome.notes:
        print(f"- {note}")
    if outcome.failure:
        print(f"**Not measured**: {outcome.failure}\n")
    print(f"`python -m {' '.join(arguments)}`, load {load:.2f} before it", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="a smoke run, some minutes long")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"--only: {', '.join(unknown)}: not one of {', '.join(SECTIONS)}")
    now = datetime.now(UTC)
    print(f"# Grapevine, {now:%Y-%m-%d}\n\n{processor()}; {machine()}.")
    print(
        f"A byte through a socket takes {exchange_microseconds():.1f} µs here (two system calls)."
    )
    print(ABOUT_RATIOS, flush=True)
    failed = False
    for name in names:
        section = SECTIONS[name]
        load = os.getloadavg()[0]
        print(f"… {name}", file=sys.stderr, flush=True)
        outcome = run(section, short=options.short)
        show(section, outcome, section.short if options.short else section.arguments, load)
        failed = failed or bool(outcome.failure)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
