"""Real cores on the modelled network, each with a processor of its own."""

import random
from collections.abc import Callable

from gossip import limits
from gossip.address import Address
from gossip.core import Gossip
from gossip.effects import CloseStream, Effect, Notify, OpenStream, SendDatagram, SendFrame
from gossip.events import ChangesetApplied, Event
from gossip.identity import Identity
from gossip.member import Metadata
from gossip.messages.membership import Alive
from gossip.profiles import LAN
from simulations.authority import LogAuthority, LogReplica
from simulations.reproductions.network import Costs, Network, Spread

BODY_BYTES = 300
"""What a route with its service's id takes."""
_WARM_UP_SECONDS = 3.0
"""Every node has been probed, so that round trips are known."""
_APART_SECONDS = 0.1
_PUSH, _HOLDS = 8, 52
"""Kinds of messages, as they are numbered on the wire."""


class Node:
    """A core, and a processor that does one thing at a time."""

    def __init__(self, cluster: "Cluster", index: int) -> None:
        self._cluster = cluster
        self.address: Address = (f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", 8005)
        self.identity = Identity(f"{index:08x}-0000-4000-8000-{index:012x}", 1, index)
        self.metadata = Metadata(f"node-{index}", "traditional", "", "1", "", "")
        self.replica = LogReplica()
        rng = random.Random(cluster.network.rng.getrandbits(64))
        self.core = Gossip(
            self.identity, self.metadata, self.address, "benchmark", LAN, self.replica, rng, 0.0
        )
        self.streams: dict[int, tuple[Node, int]] = {}
        """Where each leads: the node at the other end, and its name for it."""
        self._stream_busy: dict[int, float] = {}
        """When the last thing written on each arrives: what follows comes after it."""
        self._next_accepted = 1
        self._busy_until = 0.0
        self._wake_at: float | None = None

    def claim(self) -> Alive:
        return Alive(*self.identity, 1, self.address, self.metadata)

    def input(self, work: float, call: Callable[[float], object]) -> None:
        """Something comes in: it is done when the processor is free for it, and takes time."""
        now = max(self._cluster.network.now, self._busy_until)
        before = self.core.counters["changesets_applied"]
        call(now)
        applied = self.core.counters["changesets_applied"] - before
        self._busy_until = now + work + applied * self._cluster.costs.apply
        self.flush()

    def flush(self) -> None:
        """Carry out what the core wants, in its order."""
        for effect in self.core.effects():
            self._carry_out(effect)
        due = self.core.next_deadline()
        if due is not None and (self._wake_at is None or due < self._wake_at):
            self._wake_at = due
            self._cluster.network.at(due, self._wake, due)

    def datagram(self, data: bytes, source: Address) -> None:
        self.input(
            self._cluster.costs.receive,
            lambda now: self.core.datagram_received(data, source, now),
        )

    def _wake(self, due: float) -> None:
        if self._wake_at == due:
            self._wake_at = None
            self.input(0.0, self.core.advance)

    def _carry_out(self, effect: Effect) -> None:
        cluster = self._cluster
        if type(effect) is SendDatagram:
            self._busy_until += cluster.costs.send
            cluster.count(effect.data)
            receiver = cluster.by_address[effect.address]
            cluster.network.send(self._busy_until, receiver.datagram, effect.data, self.address)
        elif type(effect) is Notify:
            cluster.noticed(self, effect.event, self._busy_until)
        elif type(effect) is OpenStream:
            peer = cluster.by_address[effect.address]
            self.streams[effect.stream] = (peer, peer._next_accepted)
            peer.streams[peer._next_accepted] = (self, effect.stream)
            self._later(effect.stream, 2, peer._accept, peer._next_accepted, self.address)
            self._later(effect.stream, 1, peer._frame, peer._next_accepted, effect.frame)
            peer._next_accepted += 2
        elif type(effect) is SendFrame and effect.stream in self.streams:
            peer, stream = self.streams[effect.stream]
            self._later(effect.stream, 1, peer._frame, stream, effect.frame)
        elif type(effect) is CloseStream and effect.stream in self.streams:
            peer, stream = self.streams.pop(effect.stream)
            self._later(effect.stream, 1, peer._closed, stream)

    def _later(self, stream: int, ways: int, call: Callable[..., None], *arguments: object) -> None:
        """On a stream nothing is lost, and nothing overtaken."""
        network = self._cluster.network
        begin = max(self._busy_until, self._stream_busy.get(stream, 0.0))
        at = self._stream_busy[stream] = begin + sum(network.way() for _ in range(ways))
        network.at(at, call, *arguments)

    def _accept(self, stream: int, source: Address) -> None:
        self.input(0.0, lambda now: self.core.stream_accepted(stream, source, now))

    def _frame(self, stream: int, frame: bytes) -> None:
        if stream in self.streams:
            work = self._cluster.costs.receive
            self.input(work, lambda now: self.core.frame_received(stream, frame, now))

    def _closed(self, stream: int) -> None:
        if self.streams.pop(stream, None) is not None:
            self.input(0.0, lambda now: self.core.stream_closed(stream, now))


class Cluster:
    """Cores that have known each other for long."""

    def __init__(self, nodes: int, network: Network, costs: Costs) -> None:
        self.network = network
        self.costs = costs
        self.nodes = [Node(self, index) for index in range(1, nodes + 1)]
        self.by_address = {node.address: node for node in self.nodes}
        self.payloads = self.digests = 0
        self.committed_at: dict[int, float] = {}
        self.delays: dict[int, list[float]] = {}
        self.origins: dict[int, Node] = {}
        claims = [node.claim() for node in self.nodes]
        for node in self.nodes:
            node.core.acquaint(claims, 0.0)
            node.core.start(0.0)
            node.flush()

    def count(self, data: bytes) -> None:
        """Look at what a packet holds; in clear, that is in the open."""
        at = limits.HEADER_BYTES
        while at < len(data):
            kind, length, begin = data[at], data[at + 1], at + 2
            if length == 255:
                length, begin = int.from_bytes(data[begin : begin + 4], "big"), begin + 4
            self.counted(kind)
            at = begin + length

    def counted(self, kind: int) -> None:
        """A message of this kind is in a packet that is sent."""
        self.payloads += kind == _PUSH
        self.digests += kind == _HOLDS

    def noticed(self, node: Node, event: Event, at: float) -> None:
        """A node's core tells something."""
        if isinstance(event, ChangesetApplied):
            revision = event.changeset.version[2]
            if self.origins[revision] is node:
                return
            self.delays[revision].append(at - self.committed_at[revision])

    def commit(self, node: Node, authority: LogAuthority) -> None:
        changeset = authority.commit(self.network.rng.randbytes(BODY_BYTES))
        revision = changeset.version[2]

        def committed(now: float) -> None:
            self.committed_at[revision], self.delays[revision] = now, []
            self.origins[revision] = node
            # Who writes may lack what another has written just before.
            early = node.replica.offer(*changeset) == "early"
            node.core.committed(now, (changeset,) if early else ())

        node.input(0.0, committed)


def grapevine(
    nodes: int, loss: float, changesets: int, costs: Costs, seed: int, name: str
) -> Spread:
    """Commits at nodes drawn by lot, a tenth of a second apart."""
    network = Network(loss, random.Random(seed))
    cluster = Cluster(nodes, network, costs)
    network.run(_WARM_UP_SECONDS)
    authority = LogAuthority()
    for _ in range(changesets):
        cluster.commit(network.rng.choice(cluster.nodes), authority)
        network.run(network.now + _APART_SECONDS)
    network.run(network.now + _WARM_UP_SECONDS)
    sent = nodes * changesets
    return Spread(
        name, nodes, loss, [*cluster.delays.values()],
        cluster.payloads / sent, cluster.digests / sent, network.now, network.events,
    )  # fmt: skip
