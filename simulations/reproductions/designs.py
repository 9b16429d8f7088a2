"""Other designs under the same network, as small models: no code of theirs, only their rules.

``tick``      every 200 ms each node sends what is new to three others, each thing
              4·⌈log10(n + 1)⌉ times (hashicorp/memberlist's LAN values)
``mesh``      the origin sends to everybody
``plumtree``  Leitão, Pereira, Rodrigues, SRDS 2007: payloads along a spanning tree of a random
              graph with some log2 n neighbours each; IHAVE to the other neighbours after 2 ms,
              GRAFT 1 ms after an IHAVE that was needed, PRUNE for what comes twice
"""

import math
import random
from collections.abc import Callable

from simulations.reproductions.network import Costs, Network, Spread

_TICK_SECONDS = 0.2
_TICK_FANOUT = 3
_RETRANSMIT_MULT = 4
_APART_SECONDS = 0.1
_LAZY_SECONDS = 0.002
_PATIENCE_SECONDS = 0.001
_SETTLING = 5
"""Changesets in which Plumtree's tree forms; they aren't measured."""


class Model:
    """Nodes with one processor each, and which changesets they have."""

    def __init__(self, nodes: int, network: Network, costs: Costs) -> None:
        self.nodes = nodes
        self.network = network
        self.costs = costs
        self.payloads = self.digests = 0
        self.begun: dict[int, float] = {}
        self.delays: dict[int, list[float]] = {}
        self.has: list[dict[int, None]] = [{} for _ in range(nodes)]
        self._busy = [0.0] * nodes

    def commit(self, node: int, change: int) -> None:
        self.begun[change], self.delays[change] = self.network.now, []
        self._busy[node] = max(self._busy[node], self.network.now)
        self.has[node][change] = None
        self.learned(node, change, node)

    def send(self, sender: int, receiver: int, what: Callable[[int, int, int], None], change: int,
             payload: bool = False) -> None:  # fmt: skip
        """Send ``what``, which is called with (receiver, change, sender) when it is there."""
        self.payloads += payload
        self.digests += not payload
        self._busy[sender] = max(self._busy[sender], self.network.now) + self.costs.send
        self.network.send(self._busy[sender], self._arrive, receiver, what, change, sender)

    def learned(self, node: int, change: int, sender: int) -> None:
        """A node has a changeset now."""

    def repeated(self, node: int, change: int, sender: int) -> None:
        """A node got one that it had."""

    def payload(self, node: int, change: int, sender: int) -> None:
        if change in self.has[node]:
            self.repeated(node, change, sender)
            return
        self.has[node][change] = None
        self._busy[node] += self.costs.apply
        self.delays[change].append(self.network.now + self.costs.apply - self.begun[change])
        self.learned(node, change, sender)

    def _arrive(
        self, node: int, what: Callable[[int, int, int], None], change: int, sender: int
    ) -> None:
        done = max(self._busy[node], self.network.now) + self.costs.receive
        self._busy[node] = done
        self.network.at(done, what, node, change, sender)


class Mesh(Model):
    def learned(self, node: int, change: int, sender: int) -> None:
        if node != sender:
            return
        others = [other for other in range(self.nodes) if other != node]
        self.network.rng.shuffle(others)
        for other in others:
            self.send(node, other, self.payload, change, payload=True)


class Tick(Model):
    def __init__(self, nodes: int, network: Network, costs: Costs) -> None:
        super().__init__(nodes, network, costs)
        self._budget = _RETRANSMIT_MULT * math.ceil(math.log10(nodes + 1))
        self._left: list[dict[int, int]] = [{} for _ in range(nodes)]
        for node in range(nodes):
            network.at(network.rng.random() * _TICK_SECONDS, self._tick, node)

    def learned(self, node: int, change: int, sender: int) -> None:
        self._left[node][change] = self._budget

    def _tick(self, node: int) -> None:
        self.network.at(self.network.now + _TICK_SECONDS, self._tick, node)
        left = self._left[node]
        for other in self.network.rng.sample(range(self.nodes), _TICK_FANOUT):
            for change in list(left):
                if other != node and left[change]:
                    left[change] -= 1
                    self.send(node, other, self.payload, change, payload=True)


class Plumtree(Model):
    def __init__(self, nodes: int, network: Network, costs: Costs) -> None:
        super().__init__(nodes, network, costs)
        self._links = random_graph(nodes, round(math.log2(nodes)) // 2, network.rng)
        self._lazy: list[dict[int, None]] = [{} for _ in range(nodes)]
        self._grafting: list[dict[int, None]] = [{} for _ in range(nodes)]

    def learned(self, node: int, change: int, sender: int) -> None:
        for other in self._links[node]:
            if other == sender:
                continue
            if other in self._lazy[node]:
                self.network.at(
                    self.network.now + _LAZY_SECONDS,
                    self.send, node, other, self._ihave, change,
                )  # fmt: skip
            else:
                self.send(node, other, self.payload, change, payload=True)
        self._lazy[node].pop(sender, None)

    def repeated(self, node: int, change: int, sender: int) -> None:
        if sender not in self._lazy[node]:
            self._lazy[node][sender] = None
            self.send(node, sender, self._prune, change)

    def _prune(self, node: int, change: int, sender: int) -> None:
        self._lazy[node][sender] = None

    def _ihave(self, node: int, change: int, sender: int) -> None:
        if change not in self.has[node] and change not in self._grafting[node]:
            self._grafting[node][change] = None
            later = self.network.now + _PATIENCE_SECONDS
            self.network.at(later, self._graft, node, change, sender)

    def _graft(self, node: int, change: int, sender: int) -> None:
        self._grafting[node].pop(change, None)
        if change not in self.has[node]:
            self._lazy[node].pop(sender, None)
            self.send(node, sender, self._grafted, change)

    def _grafted(self, node: int, change: int, sender: int) -> None:
        self._lazy[node].pop(sender, None)
        if change in self.has[node]:
            self.send(node, sender, self.payload, change, payload=True)


def random_graph(nodes: int, links: int, rng: random.Random) -> list[dict[int, None]]:
    """Neighbours: a ring, so that it hangs together, and ``links`` by lot for each node."""
    neighbours: list[dict[int, None]] = [{} for _ in range(nodes)]
    for node in range(nodes):
        for other in ((node + 1) % nodes, *rng.sample(range(nodes), links - 1)):
            if other != node:
                neighbours[node][other] = neighbours[other][node] = None
    return neighbours


MODELS: dict[str, tuple[type[Model], float, int]] = {
    "gossip on a 200 ms tick": (Tick, 5.0, 0),
    "full mesh": (Mesh, 0.5, 0),
    "Plumtree": (Plumtree, 1.0, _SETTLING),
}
"""By name: the model, for how long it goes on after the last changeset, and how many changesets
aren't measured."""


def measure(name: str, nodes: int, loss: float, changesets: int, costs: Costs, seed: int) -> Spread:
    """Commits at nodes drawn by lot, a tenth of a second apart."""
    kind, after, settling = MODELS[name]
    network = Network(0.0, random.Random(seed))
    model = kind(nodes, network, costs)
    for change in range(settling + changesets):
        if change == settling:
            network.loss = loss
            model.payloads = model.digests = 0
        model.commit(network.rng.randrange(nodes), change)
        network.run(network.now + _APART_SECONDS)
    network.run(network.now + after)
    sent = nodes * changesets
    delays = [model.delays[change] for change in range(settling, settling + changesets)]
    payloads, digests = model.payloads / sent, model.digests / sent
    return Spread(name, nodes, loss, delays, payloads, digests, network.now, network.events)
