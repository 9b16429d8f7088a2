"""What it takes until everybody is known to have a write, by cluster size and loss."""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gossip.events import ChangesetApplied, Event, FenceAsked, FenceEnded
from gossip.replica import Version
from simulations.authority import LogAuthority
from simulations.report import Cell, Report, Table
from simulations.reproductions.cores import Cluster, Node
from simulations.reproductions.figures import figures_report, sizes_to
from simulations.reproductions.network import JITTER_SECONDS, ONE_WAY_SECONDS, Costs, Network
from simulations.reproductions.propagation import ASSUMED
from simulations.settings import Settings

ROUND_TRIP_SECONDS = 2 * (ONE_WAY_SECONDS + JITTER_SECONDS)
_FENCE_SECONDS = 10.0
_WARM_UP_SECONDS = 3.0
_APART_SECONDS = 0.1
_KINDS = range(60, 70)
"""Of the fence's messages on the wire."""


class Fenced(NamedTuple):
    """What one cluster gave."""

    nodes: int
    loss: float
    seconds: list[float]
    """Of each fence, from the commit to its end, in order."""
    complete: int
    packets: float
    """With a question or an answer in them, for each fence and member."""
    again: float
    """Questions that were sent once more, for each fence."""
    virtual: float
    events: int

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return sorted(self.seconds)[-(-round(share * len(self.seconds) * 1e6) // 10**6) - 1] * 1e3


class FencedCluster(Cluster):
    """Whoever is asked answers as soon as its replica has the version."""

    def __init__(self, nodes: int, network: Network, costs: Costs) -> None:
        self._asked: dict[tuple[str, int], Version] = {}
        self.ended: list[FenceEnded] = []
        self.ended_at: list[float] = []
        self.packets = 0
        super().__init__(nodes, network, costs)

    def noticed(self, node: Node, event: Event, at: float) -> None:
        super().noticed(node, event, at)
        if isinstance(event, FenceAsked):
            self._asked[node.identity.node_id, event.token] = event.version
            self._answer(node, at)
        elif isinstance(event, ChangesetApplied):
            self._answer(node, at)
        elif isinstance(event, FenceEnded):
            self.ended.append(event)
            self.ended_at.append(at)

    def counted(self, kind: int) -> None:
        super().counted(kind)
        self.packets += kind in _KINDS

    def _answer(self, node: Node, at: float) -> None:
        for (node_id, token), version in list(self._asked.items()):
            if node_id == node.identity.node_id and node.replica.reach(version) == "reached":
                del self._asked[node_id, token]
                self.network.at(at, node.input, 0.0, _answering(node, token))


def _answering(node: Node, token: int) -> Callable[[float], None]:
    return lambda now: node.core.fence_answered(token, "reached", now)


def fenced(nodes: int, loss: float, fences: int, costs: Costs, seed: int) -> Fenced:
    """Commits at nodes drawn by lot, each with a fence from the same moment on."""
    network = Network(loss, random.Random(seed))
    cluster = FencedCluster(nodes, network, costs)
    network.run(_WARM_UP_SECONDS)
    authority = LogAuthority()
    seconds = []
    for number in range(fences):
        node = network.rng.choice(cluster.nodes)
        cluster.commit(node, authority)
        begun, version = network.now, authority.head().version
        node.input(0.0, _beginning(node, version))
        while len(cluster.ended) <= number:
            network.run(network.now + _APART_SECONDS)
        seconds.append(cluster.ended_at[number] - begun)
    complete = sum(len(one.reached) == nodes for one in cluster.ended)
    again = sum(node.core.counters["fence_questions_again"] for node in cluster.nodes)
    packets = cluster.packets / fences / max(1, nodes - 1)
    return Fenced(
        nodes, loss, seconds, complete, packets, again / fences, network.now, network.events
    )


def _beginning(node: Node, version: Version) -> Callable[[float], int]:
    return lambda now: node.core.fence(version, _FENCE_SECONDS, now)


def fence(nodes: int, seed: int, settings: Settings) -> Report:
    """How long a write's fence on all members takes, in ms and in round trips, by size and loss.

    Sizes up to --nodes (--set sizes=3,10,…, losses=0,0.01,…); the network of ``propagation``. A
    member answers as soon as its replica has the version.
    """
    sizes = settings.numbers("sizes", sizes_to(nodes), 2, 2_000)
    losses = settings.numbers("losses", [0.0, 0.01, 0.05, 0.1], 0.0, 0.5)
    fences = settings.get("fences", 100, 1, 10_000)
    settings.check_used()
    rows: list[list[Cell]] = []
    measures: dict[str, float] = {}
    found: list[Fenced] = []
    for one in _all(sizes, losses, fences, seed):
        settings.progress(len(found) + 1, len(sizes) * len(losses))
        assert one.complete == fences, (
            f"{fences - one.complete} of {fences} fences ended without all"
        )
        found.append(one)
        half = one.percentile(0.5)
        trips = half / 1e3 / ROUND_TRIP_SECONDS
        late = one.percentile(0.99)
        rows.append([one.nodes, f"{one.loss:.0%}", half, late, trips, one.packets, one.again])
        measures[f"n{one.nodes}_loss{one.loss:g}_p50_ms"] = half
        measures[f"n{one.nodes}_loss{one.loss:g}_p99_ms"] = late
    table = Table(
        "Milliseconds from a commit until its writer knows that all members have it",
        ("n", "lost", "50 %", "99 %", "round trips, 50 %", "packets per member", "asked again"),
        rows,
        ["A mean round trip is 0.5 ms. Asked again: questions sent once more, for each fence."],
    )
    seconds, events = sum(one.virtual for one in found), sum(one.events for one in found)
    return figures_report(seconds, events, found, measures, [table])


def _all(sizes: list[int], losses: list[float], fences: int, seed: int) -> Iterator[Fenced]:
    for nodes in sizes:
        for loss in losses:
            yield fenced(nodes, loss, fences, ASSUMED, seed)
