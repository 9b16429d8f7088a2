"""How a change travels in large clusters: our core, beside other designs under the same network.

The network is that of GOSSIP 4.2: 0.1 ms and an exponential 0.15 ms one way, 1 % or 5 % of packets
lost. A node's processor does one thing at a time; what a packet takes is measured of our core first
(sealed, the real replica, real sockets), and every design is run with those costs and with the
30 µs and 50 µs that were assumed when the design was chosen. Real cores run in virtual time, for
whose figures load on this machine doesn't matter but for the costs; probes go on meanwhile, once a
second at each node. Prints a table, the goals, and a line of JSON.

    python -m benchmarks.dissemination [--nodes 100,1000] [--loss 0.01,0.05] [--changesets 20]
        [--seed 1] [--short]
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.dissemination.costs import measure
from benchmarks.machine import machine
from simulations.reproductions.cores import grapevine
from simulations.reproductions.designs import MODELS
from simulations.reproductions.designs import measure as measure_model
from simulations.reproductions.network import Costs, Spread
from simulations.reproductions.propagation import ASSUMED, OURS

PROMPT_SECONDS = 0.05
"""What isn't there by then waits for a probe."""


class Goal(NamedTuple):
    nodes: int
    loss: float
    figure: str
    bound: float


GOALS = (
    Goal(1_000, 0.01, "p50", 2.0),
    Goal(1_000, 0.01, "p99", 5.0),
    Goal(1_000, 0.01, "p99.9", 10.0),
    Goal(1_000, 0.01, "payloads", 1.2),
    Goal(1_000, 0.05, "p99", 8.0),
    Goal(100, 0.01, "p99", 4.0),
    Goal(100, 0.05, "p99", 8.0),
)


def figures(spread: Spread) -> dict[str, float | None]:
    """What is told of one run; times in milliseconds."""
    return {
        "p50": spread.percentile(0.5),
        "p99": spread.percentile(0.99),
        "p99.9": spread.percentile(0.999),
        "last": spread.last(),
        "covered": spread.coverage(PROMPT_SECONDS),
        "payloads": spread.payloads,
        "digests": spread.digests,
    }


class Row(NamedTuple):
    name: str
    nodes: int
    loss: float
    costs: str
    figures: dict[str, float | None]


def rows(options: argparse.Namespace, costs: dict[str, Costs]) -> Iterator[Row]:
    for nodes in options.nodes:
        for loss in options.loss:
            for label, cost in costs.items():
                # The same number of samples, or the 99th percentile of a small cluster is noise.
                changesets = max(options.changesets, 1_000 * options.changesets // nodes // 2)
                run = (nodes, loss, changesets, cost, options.seed)
                print(f"  … {nodes} nodes, {loss:.0%} lost, {label}", file=sys.stderr, flush=True)
                yield Row(OURS, nodes, loss, label, figures(grapevine(*run, OURS)))
                for name in MODELS:
                    yield Row(name, nodes, loss, label, figures(measure_model(name, *run)))


def shown(value: float | None, figure: str) -> str:
    if value is None:
        return "never"
    return f"{value:.3%}" if figure == "covered" else f"{value:.2f}"


def print_table(table: list[Row]) -> None:
    columns = [*table[0].figures]
    print(f"\n{'':26}{'n':>6}{'lost':>6}  {'costs':<9}" + "".join(f"{c:>10}" for c in columns))
    for row in table:
        cells = "".join(f"{shown(row.figures[c], c):>10}" for c in columns)
        print(f"{row.name:26}{row.nodes:>6}{row.loss:>6.0%}  {row.costs:<9}{cells}")


def judged(table: list[Row]) -> list[dict[str, object]]:
    """Each goal with what came out, for both costs."""
    verdicts: list[dict[str, object]] = []
    for row in table:
        for goal in GOALS:
            if row.name != OURS or (row.nodes, row.loss) != (goal.nodes, goal.loss):
                continue
            value = row.figures[goal.figure]
            met = value is not None and value <= goal.bound
            verdicts.append({"costs": row.costs, **goal._asdict(), "value": value, "met": met})
    return verdicts


def numbers(kind: type[float]) -> Callable[[str], list[float]]:
    return lambda text: [kind(one) for one in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dissemination", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--nodes", type=numbers(int), default=[100, 1_000])
    parser.add_argument("--loss", type=numbers(float), default=[0.01, 0.05])
    parser.add_argument(
        "--changesets", type=int, default=20, help="in a cluster of 1,000; more in smaller ones"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a smoke run that judges nothing")
    options = parser.parse_args()
    if options.short:
        options.nodes, options.loss, options.changesets = [100], [0.01], 10
    print(machine(), flush=True)
    measured = measure()
    print(
        f"a packet sent: {measured.seal:.1f} µs to seal, {measured.sendto:.1f} µs for the socket; "
        f"received: {measured.wake:.1f} µs for the loop, {measured.read:.1f} µs to open and read, "
        f"{measured.apply:.1f} µs to apply\nmeasured: {measured.costs.send * 1e6:.0f} µs a packet "
        f"sent, {measured.costs.receive * 1e6:.0f} µs received, {measured.apply:.0f} µs a change; "
        f"assumed: {ASSUMED.send * 1e6:.0f} µs sent, {ASSUMED.receive * 1e6:.0f} µs received",
        flush=True,
    )
    table = [*rows(options, {"measured": measured.costs, "assumed": ASSUMED})]
    print_table(table)
    verdicts = [] if options.short else judged(table)
    print()
    for verdict in verdicts:
        outcome = "met" if verdict["met"] else "MISSED"
        print(
            f"{verdict['nodes']:>5} nodes, {verdict['loss']:.0%} lost, {verdict['costs']} costs: "
            f"{verdict['figure']} <= {verdict['bound']}: {verdict['value']:.2f} {outcome}"
        )
    print(
        json.dumps(
            {
                "benchmark": "dissemination",
                "costs_us": measured._asdict(),
                "rows": [{**row._asdict()} for row in table],
                "goals": verdicts,
            }
        )
    )


if __name__ == "__main__":
    main()
