"""How fast the simulator is: events a second, and whole runs.

    scale    1,000 nodes for 60 virtual seconds, two changes a second, 1 % of packets lost
    forming  as many that know nobody but their seeds, until each sees all (a figure without a goal)
    swarm    seeds of 50 nodes in which everything fails, per minute of one core
    tests    the 100 small seeds of `make check`, on two cores

CPU time of the process that runs them, or machines with other work would seem slow; the tests' wall
time is printed besides. Each run has a new process. Prints a table (medians, and the range) and a
line of JSON; --short runs a little of everything and judges nothing.

    python -m benchmarks.simulator [scale|forming|swarm|tests …] [--runs 3] [--short]
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmarks.machine import machine
from simulations.runner import Request, run

CORES = 2


class Goal(NamedTuple):
    """A bound for the median."""

    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


class Size(NamedTuple):
    """How much of everything is run."""

    scale_nodes: int
    scale_seconds: int
    forming_nodes: int
    swarm_seeds: int
    test_seeds: int


FULL = Size(1_000, 60, 1_000, 12, 100)
SHORT = Size(100, 10, 40, 1, 6)

Figures = dict[str, float]


class Ended(NamedTuple):
    """A run that is over."""

    cpu: float
    events: int
    measures: dict[str, float]


def scale(size: Size, seed: int) -> Figures:
    settings = (f"seconds={size.scale_seconds}",)
    (ended,) = _ended([Request("scale", size.scale_nodes, seed, settings)])
    return {
        "scale_cpu": ended.cpu,
        "scale_events": ended.events / ended.cpu,
        "scale_us": ended.cpu / ended.events * 1e6,
    }


def forming(size: Size, seed: int) -> Figures:
    settings = ("forming=1", "seconds=0")
    (ended,) = _ended([Request("scale", size.forming_nodes, seed, settings)])
    return {"forming_cpu": ended.cpu, "forming_virtual": ended.measures["formed"]}


def swarm(size: Size, seed: int) -> Figures:
    """The same seeds in every run: what differs is the machine."""
    ended = _ended(Request("swarm", 50, number) for number in range(1, size.swarm_seeds + 1))
    cpu = sum(one.cpu for one in ended)
    return {
        "swarm_rate": len(ended) / cpu * 60,
        "swarm_us": cpu / sum(one.events for one in ended) * 1e6,
    }


def tests(size: Size, seed: int) -> Figures:
    begun = time.monotonic()
    ended = _ended((Request("swarm", 0, number) for number in range(1, size.test_seeds + 1)), CORES)
    wall = time.monotonic() - begun
    return {"tests_cpu": sum(one.cpu for one in ended) / CORES, "tests_wall": wall}


MEASURES: dict[str, Callable[[Size, int], Figures]] = {
    "scale": scale,
    "forming": forming,
    "swarm": swarm,
    "tests": tests,
}
ROWS: dict[str, tuple[str, Goal | None]] = {
    "scale_cpu": ("{scale_nodes} nodes, {scale_seconds} s: CPU seconds", Goal(120)),
    "scale_events": ("  events a second", None),
    "scale_us": ("  µs an event", None),
    "forming_cpu": ("forming {forming_nodes} nodes: CPU seconds", None),
    "forming_virtual": ("  virtual seconds until each sees all", None),
    "swarm_rate": ("50 nodes, everything fails: seeds a minute of CPU", Goal(10, at_least=True)),
    "swarm_us": ("  µs an event", None),
    "tests_cpu": ("{test_seeds} small seeds: CPU seconds on each of 2 cores", Goal(60)),
    "tests_wall": ("  wall seconds, with what else this machine does", None),
}


def _ended(requests: Iterable[Request], jobs: int = 1) -> list[Ended]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        return list(pool.map(_timed, requests))


def _timed(request: Request) -> Ended:
    begun = time.process_time()
    outcome = run(request)
    cpu = time.process_time() - begun
    if not outcome["ok"]:
        raise RuntimeError(f"{outcome['replay']}: {outcome['error']}")
    return Ended(cpu, outcome["events"], outcome["measures"])


def _print(samples: dict[str, list[float]], size: Size, judged: bool) -> None:
    lines = [("", "goal", "median", "range")]
    for key, values in samples.items():
        title, goal = ROWS[key]
        middle = statistics.median(values)
        verdict = ""
        if goal is not None and judged:
            verdict = f"{goal}: {'met' if goal.met(middle) else 'MISSED'}"
        spread = f"{min(values):.1f} - {max(values):.1f}, n={len(values)}"
        lines.append((title.format(**size._asdict()), verdict, f"{middle:.1f}", spread))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    for title, verdict, median, spread in lines:
        print(
            f"{title.ljust(widths[0])}  {verdict.ljust(widths[1])}  {median.rjust(widths[2])}  "
            f"{spread}".rstrip()
        )
    medians = {key: round(statistics.median(values), 3) for key, values in samples.items()}
    print(json.dumps({"benchmark": "simulator", "size": size._asdict(), "medians": medians}))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("measure", nargs="*", help=f"{', '.join(MEASURES)}; all without any")
    parser.add_argument("--runs", type=int, choices=range(1, 101), metavar="1-100")
    parser.add_argument("--short", action="store_true", help="a smoke run, some seconds long")
    options = parser.parse_args()
    for name in options.measure:
        if name not in MEASURES:
            parser.error(f"there is no measure '{name}'; there are {', '.join(MEASURES)}")
    size, runs = (SHORT, 1) if options.short else (FULL, 3)
    print(machine(), flush=True)
    samples: dict[str, list[float]] = {}
    for name in options.measure or MEASURES:
        for number in range(options.runs or runs):
            print(f"  … {name}, run {number + 1}", file=sys.stderr, flush=True)
            for key, value in MEASURES[name](size, number + 1).items():
                samples.setdefault(key, []).append(value)
    _print(samples, size, judged=not options.short)


if __name__ == "__main__":
    main()
