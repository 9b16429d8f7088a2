"""``python -m tests.fuzz``: searches for inputs that break something, guided by coverage.

    python -m tests.fuzz                              every target, for a minute each
    python -m tests.fuzz http_requests --runs 1000000
    python -m tests.fuzz http_requests --input .fuzz/http_requests-crash-…    does one input again

Each target runs in a process of its own. What the search has come by is kept in ``.fuzz``, where it
goes on the next time, and so is what breaks something. Exit code 1 if there was such.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.search import Bounds, Result, minimise, search
from tests.fuzz.target import load, names

FOLDER = Path(".fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(names()))
    parser.add_argument("--runs", type=int, help="inputs of each target")
    parser.add_argument("--seconds", type=int, help="for each target; 60 without --runs")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--input", type=Path, help="do this one input of one target, and no more")
    parser.add_argument(
        "--minimise", action="store_true", help="then put what goes new ways into the tree's corpus"
    )
    options = parser.parse_args()
    chosen = options.targets or names()
    if unknown := [name for name in chosen if name not in names()]:
        parser.error(f"no target {unknown[0]}; there are {', '.join(names())}")
    if options.input is not None:
        if len(options.targets) != 1:
            parser.error("--input is for one target")
        load(chosen[0]).attack(options.input.read_bytes())
        return 0
    seconds = options.seconds or (60 if options.runs is None else 0)
    bounds = Bounds(-1 if options.runs is None else options.runs, seconds)
    FOLDER.mkdir(exist_ok=True)
    print(f"{'target':20} {'inputs':>10} {'seconds':>8} {'edges':>6}  found", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        results = []
        for result in pool.map(lambda name: search(name, FOLDER, bounds), chosen):
            results.append(result)
            print(_row(result), flush=True)
    if options.minimise:
        for name in chosen:
            kept, size = minimise(name, FOLDER)
            print(f"{name}: {kept} inputs of together {size} bytes in the tree")
    return 1 if any(result.failed for result in results) else 0


def _row(result: Result) -> str:
    found = ", ".join(map(str, result.found)) or ("-" if not result.failed else "it ended early")
    row = f"{result.name:20} {result.inputs:>10,} {result.seconds:>8.0f} {result.edges:>6}  {found}"
    return f"{row}\n    {result.name}: see {result.log}" if result.failed else row


if __name__ == "__main__":
    sys.exit(main())
