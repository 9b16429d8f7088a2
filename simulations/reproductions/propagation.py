"""How a change reaches everybody, by cluster size and loss: ours beside other designs."""

from collections.abc import Iterator
from typing import NamedTuple

from simulations.report import Cell, Report, Table
from simulations.reproductions.cores import grapevine
from simulations.reproductions.designs import MODELS, measure
from simulations.reproductions.figures import figures_report, sizes_to
from simulations.reproductions.network import Costs, Spread
from simulations.settings import Settings

OURS = "grapevine"
ASSUMED = Costs(receive=0.000_050, apply=0.0, send=0.000_030)
"""What a packet takes of a processor, when nothing was measured (``benchmarks.dissemination``)."""
_PROMPT_SECONDS = 0.05
"""What isn't there by then waits for a probe."""
_CHANGESETS_MAX = 500


class Case(NamedTuple):
    """One cluster under one loss, with one design."""

    design: str
    nodes: int
    loss: float
    spread: Spread


def enough(changesets: int, nodes: int) -> int:
    """So many that the 99th percentile of a small cluster isn't noise."""
    return max(changesets, min(500 * changesets // nodes, _CHANGESETS_MAX))


def cases(
    sizes: list[int],
    losses: list[float],
    changesets: int,
    costs: Costs,
    seed: int,
    designs: tuple[str, ...] = (OURS, *MODELS),
) -> Iterator[Case]:
    """These designs in every cluster."""
    for nodes in sizes:
        for loss in losses:
            run = (nodes, loss, enough(changesets, nodes), costs, seed)
            for design in designs:
                spread = grapevine(*run, OURS) if design == OURS else measure(design, *run)
                yield Case(design, nodes, loss, spread)


def propagation(nodes: int, seed: int, settings: Settings) -> Report:
    """How a change reaches all, by size and loss: ours, gossip on a tick, full mesh, Plumtree.

    Sizes up to --nodes (--set sizes=3,10,…, losses=0,0.01,…). Milliseconds; a network of 0.1 ms and
    an exponential 0.15 ms one way, and processors that take ``receive_us`` and ``send_us``.
    """
    sizes = settings.numbers("sizes", sizes_to(nodes), 3, 2_000)
    losses = settings.numbers("losses", [0.0, 0.01, 0.05, 0.1], 0.0, 0.5)
    changesets = settings.get("changesets", 20, 1, 10_000)
    receive = settings.get("receive_us", ASSUMED.receive * 1e6, 0.0, 1e6)
    send = settings.get("send_us", ASSUMED.send * 1e6, 0.0, 1e6)
    settings.check_used()
    costs = Costs(receive / 1e6, ASSUMED.apply, send / 1e6)
    rows, measures, traces = [], {}, []
    seconds, events = 0.0, 0
    total = len(sizes) * len(losses) * (1 + len(MODELS))
    for done, case in enumerate(cases(sizes, losses, changesets, costs, seed), 1):
        settings.progress(done, total)
        rows.append(row(case))
        traces.append(case)
        seconds, events = seconds + case.spread.seconds, events + case.spread.events
        if case.design == OURS:
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                value = case.spread.percentile(share)
                assert value is not None, (
                    f"{case.nodes} nodes, {case.loss:.0%} lost: not all got it"
                )
                measures[f"n{case.nodes}_loss{case.loss:g}_{name}_ms"] = value
    table = Table(
        "Milliseconds from a commit until so many of all nodes have it; copies sent for each node",
        ("", "n", "lost", "50 %", "99 %", "99.9 %", "all", "within 50 ms", "copies", "digests"),
        rows,
    )
    return figures_report(seconds, events, traces, measures, [table])


def row(case: Case) -> list[Cell]:
    """Of the table."""
    spread = case.spread
    return [
        case.design,
        case.nodes,
        f"{case.loss:.0%}",
        *(spread.percentile(share) for share in (0.5, 0.99, 0.999, 1.0)),
        f"{spread.coverage(_PROMPT_SECONDS):.2%}",
        spread.payloads,
        spread.digests,
    ]
