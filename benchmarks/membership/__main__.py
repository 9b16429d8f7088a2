"""Membership: Grapevine beside Serf and kinship, as processes of this machine, in the same run.

    python -m benchmarks.membership MEASURE [--nodes 10,30] [--runs 20] [--peer-runs 5]
        [--systems grapevine,serf,kinship] [--seconds 60] [--settle 30] [--seed 1] [--short]

MEASURE is one of those below, or `all`. Nothing is sent beyond loopbacks and network namespaces of
our own, which need root; what can't be measured here says so.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.machine import machine
from benchmarks.membership.measures.cpu import cpu
from benchmarks.membership.measures.false_deaths import false_deaths
from benchmarks.membership.measures.form import form
from benchmarks.membership.measures.heal import heal
from benchmarks.membership.measures.idle import idle
from benchmarks.membership.measures.kill import kill
from benchmarks.membership.measures.packet import packet
from benchmarks.membership.measures.silent import silent
from benchmarks.membership.plan import Plan, tell
from benchmarks.membership.report import OURS, Report
from benchmarks.membership.systems import System, Unavailable
from benchmarks.membership.systems.grapevine import Grapevine
from benchmarks.membership.systems.kinship import Kinship
from benchmarks.membership.systems.serf import Serf

NODES_MIN, NODES_MAX = 3, 60
RUNS_MAX = 200
SECONDS_MAX = 600.0
SYSTEMS: dict[str, Callable[[], System]] = {
    "grapevine": Grapevine,
    "serf": Serf,
    "kinship": Kinship,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure and what it takes when the command line doesn't say."""

    run: Callable[[Plan], Awaitable[Report]]
    help: str
    nodes: tuple[int, ...]
    runs: int = 1
    peer_runs: int = 1
    seconds: float = 60.0


MEASURES = {
    "form": Measure(form, "time to one view", (30,), 20, 5),
    "kill": Measure(kill, "kill -9 to the verdict", (10, 30), 20, 5),
    "idle": Measure(idle, "what an idle cluster sends", (10, 20, 30)),
    "cpu": Measure(cpu, "what an idle agent takes", (10, 30)),
    "false-deaths": Measure(false_deaths, "verdicts about members that are well", (30,)),
    "silent": Measure(silent, "a silent host to the verdict", (10, 30), 10, 3),
    "heal": Measure(heal, "a mended cut to whole views", (30,), 10, 2, 90.0),
    "packet": Measure(packet, "one packet in our core", (10, 30), 20),
}
SHORT = {
    "form": ((5,), 2),
    "kill": ((5,), 2),
    "packet": ((5,), 5),
}
"""What `--short` runs: ours alone, without need of root, in under a minute."""


async def measure(names: list[str], options: argparse.Namespace) -> None:
    """Run these measures one after the other and print what came of each."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    print(machine(), flush=True)
    systems, missing = await _prepared(options.systems)
    for name in names:
        plan = _plan(name, options, systems)
        report = await MEASURES[name].run(plan)
        report.systems = options.systems
        report.notes += missing
        report.print()


async def _prepared(names: list[str]) -> tuple[list[System], list[str]]:
    """The systems that can be had, and why the others can't."""
    systems, missing = [], []
    for name in names:
        system = SYSTEMS[name]()
        try:
            version = await system.prepare()
        except Unavailable as error:
            missing.append(f"{name}: nothing measured: {error}")
            tell(missing[-1])
        else:
            systems.append(system)
            print(f"{name}: {version}", flush=True)
    return systems, missing


def _plan(name: str, options: argparse.Namespace, systems: list[System]) -> Plan:
    usual = MEASURES[name]
    nodes, runs = SHORT[name] if options.short else (usual.nodes, usual.runs)
    return Plan(
        systems=systems,
        nodes=options.nodes or nodes,
        runs=options.runs or runs,
        peer_runs=options.peer_runs or min(usual.peer_runs, options.runs or runs),
        seconds=options.seconds or usual.seconds,
        settle=options.settle,
        rng=random.Random(options.seed),
    )


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(_bounded(int, NODES_MIN, NODES_MAX)(part) for part in text.split(","))
    return tuple(int(size) for size in sizes)


def _bounded(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def _system_names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in SYSTEMS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SYSTEMS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.membership", description=(__doc__ or "").partition("\n")[0]
    )
    measures = "; ".join(f"{name}: {one.help}" for name, one in MEASURES.items())
    parser.add_argument(
        "measure", nargs="?", choices=[*MEASURES, "all"], default="all", help=measures
    )
    parser.add_argument("--nodes", type=_sizes, help="cluster sizes, e.g. 10,30")
    parser.add_argument("--runs", type=_bounded(int, 1, RUNS_MAX), help="how often, for ours")
    parser.add_argument("--peer-runs", type=_bounded(int, 1, RUNS_MAX), help="and for the others")
    parser.add_argument("--seconds", type=_bounded(float, 1, SECONDS_MAX), help="one observation")
    parser.add_argument(
        "--settle", type=_bounded(float, 1, SECONDS_MAX), default=30.0, help="wait until it is idle"
    )
    parser.add_argument("--systems", type=_system_names, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a smoke run of ours, under a minute")
    return parser


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    if options.short and options.measure not in (*SHORT, "all"):
        parser.error(f"--short runs {', '.join(SHORT)}")
    if options.systems is None:
        options.systems = [OURS] if options.short else list(SYSTEMS)
    if options.measure != "all":
        names = [options.measure]
    else:
        names = list(SHORT if options.short else MEASURES)
    for name in list(os.environ):  # nothing of the caller's configuration gets into the agents
        if name.startswith(("KONG_", "GRAPEVINE_")):
            del os.environ[name]
    try:
        asyncio.run(measure(names, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped")


if __name__ == "__main__":
    main()
