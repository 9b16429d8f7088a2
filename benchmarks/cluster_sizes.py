"""The command line of benchmarks that write to clusters of several sizes, and what they print."""

import argparse
import json
import random
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Figures = TypeVar("Figures", bound="DataclassInstance")
"""Numbers by name, of one cluster."""


def run(
    benchmark: str,
    heading: str,
    measure: Callable[[int, int, int | None, random.Random], Coroutine[Any, Any, Figures]],
    report: Callable[[Figures], str],
    *,
    about: str | None,
    sizes: str,
    writes: str,
) -> None:
    """Measure each size by ``measure(nodes, writes, base_port, rng)``; of each, ``report``'s row of
    the table and a line of JSON. ``about`` is the module's docstring, ``sizes`` the default, and
    ``writes`` what that option means."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--nodes", default=sizes, help=f"cluster sizes (default {sizes})")
    parser.add_argument("--writes", type=int, default=200, help=f"{writes} (default 200)")
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(heading)
    for size in options.nodes.split(","):
        figures = uvloop.run(measure(int(size), options.writes, options.base_port, rng))
        print(report(figures))
        fields = {name: round(value, 3) for name, value in asdict(figures).items()}
        print(json.dumps({"benchmark": benchmark, **fields}))
