"""The world: machines on a network, an authority, a clock, and one seed that decides everything.

A run is replayed by its seed: two runs of one seed have the same trace hash.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from gossip.address import Address
from gossip.events import Event
from gossip.keyring import Keyring
from gossip.profiles import LAN, Profile
from gossip.replica import Changeset
from simulations import facts
from simulations.authority import LogAuthority, LogReplica, SimulatedReplica
from simulations.checks import Checks
from simulations.clock import Clock, Trace
from simulations.disk import Disk
from simulations.knock import Visit
from simulations.links import Link, Network
from simulations.node import CLUSTER, Node

LATE_SECONDS = 60.0
"""A packet that turns up after so long is of another time."""
_SEEDS = 3
_POLL_SECONDS = 30.0
"""Seldom, so that it's gossip that finds what is missing."""


class Observed(NamedTuple):
    """An event that a node's core reported."""

    at: float
    node: int
    event: Event


class World:
    """Nodes 0 to n - 1 with addresses 10.0.0.1, …; the first three are everyone's seeds.

    With ``skewed`` the nodes' monotonic clocks begin anywhere and run at slightly other rates.
    """

    node_type = Node

    def __init__(
        self,
        nodes: int,
        seed: int,
        profile: Profile = LAN,
        link: Link | None = None,
        keyring: Keyring | None = None,
        *,
        skewed: bool = False,
        new_replica: Callable[[], SimulatedReplica] = LogReplica,
    ) -> None:
        self.new_replica = new_replica
        self.clock = Clock()
        self.schedule = self.clock.after
        self.seed = seed
        self.profile = profile
        self.keyring = keyring
        """As it is kept outside the cluster, by the authority; None in clear."""
        self.rng = random.Random(seed)
        self.visits: dict[Address, Visit] = {}
        """Knocks under way, by the address that they come from."""
        self.network = Network(link or Link(), self.rng)
        self.network.checksums = keyring is None
        self.authority = LogAuthority()
        self.databases: dict[int, LogAuthority] = {}
        """Which of several authorities a node reaches, by its index; else that above."""
        self.outages = 0
        """How often the authority has come back."""
        self.removals: dict[str, int] = {}
        """Who was forced out, up to which generation: a fact of the authority."""
        self.supervised = False
        """Whether whoever was forced out is started again soon."""
        self.observed: list[Observed] = []
        self.measures: dict[str, float] = {}
        """What the scenario has measured, by name."""
        self.marked_at = 0.0
        """Since when the scenario measures."""
        self.saved_disks: dict[int, Disk] = {}
        """Images of disks, by the node's index."""
        self.checks = Checks(self)
        self.nodes: list[Node] = []
        self._polled = -1
        self._by_address: dict[Address, Node] = {}
        for _ in range(nodes):
            self.add_node()
        self._lacking = self.nodes[0]
        """A node that was found to lack something the last time that all were asked."""
        self.seeds = [node.address for node in self.nodes[:_SEEDS]]
        self._trace = Trace()
        if skewed:
            for node in self.nodes:
                node.clock_offset = self.rng.uniform(0.0, 1e6)
                node.clock_rate = self.rng.uniform(0.9999, 1.0001)

    @property
    def now(self) -> float:
        return self.clock.now

    @property
    def trace_hash(self) -> str:
        """Stands for everything that happened so far."""
        return self._trace.hexdigest()

    def record(self, kind: int, node: int, what: bytes) -> None:
        """Add a fact (``simulations.facts``) to the trace."""
        self._trace.add(self.clock.now, kind, node, what)

    def happened(self, name: str, times: int = 1) -> None:
        """Something that must happen now and then (``simulations.sometimes``)."""
        self.checks.sometimes.happened(name, times)

    # Machines and addresses

    def add_node(self, twin_of: Node | None = None, cluster: str = CLUSTER) -> Node:
        """One more machine: a new node, perhaps of another cluster, or, from a copy of its disk,
        another one's double."""
        disk = None if twin_of is None else twin_of.disk.snapshot(self.now)
        node = self.node_type(self, len(self.nodes), disk, cluster)
        self.nodes.append(node)
        self._by_address[node.address] = node
        return node

    def at_address(self, address: Address) -> Node | None:
        return self._by_address.get(address)

    def swap_addresses(self, one: Node, other: Node) -> None:
        """Two machines that don't run get each other's address."""
        assert not one.running
        assert not other.running
        one.address, other.address = other.address, one.address
        for node in (one, other):
            node.source = node.address
            self._by_address[node.address] = node

    def give_address(self, former: Node, tenant: Node) -> None:
        """A machine that doesn't run gets the address that another one had."""
        assert not former.running
        assert not tenant.running
        del self._by_address[tenant.address]
        tenant.address = tenant.source = former.address
        self._by_address[tenant.address] = tenant

    def rebind(self, node: Node) -> None:
        """A NAT in front of a node gives it another source address; the old one leads nowhere, the
        advertised one still leads to it."""
        if node.source != node.address:
            self._by_address.pop(node.source, None)
        node.source = (f"192.0.2.{node.index % 250 + 1}", self.rng.randrange(1024, 65536))
        self._by_address[node.source] = node

    def directory(self, asking: Node) -> list[Address]:
        """What the authority's directory tells one node: where all others are."""
        return [
            node.address
            for node in self.nodes
            if node is not asking and node.life and node.cluster == asking.cluster
        ]

    def poll_in_turn(self) -> None:
        """From now on the nodes ask the authority, each every ``_POLL_SECONDS``."""
        self._polled = (self._polled + 1) % len(self.nodes)
        self.nodes[self._polled].application.poll()
        self.schedule(_POLL_SECONDS / len(self.nodes), self.poll_in_turn)

    # The network

    def transmit(self, sender: Node, address: Address, data: bytes) -> None:
        """A datagram goes out."""
        receiver = self._by_address.get(address)
        if receiver is None:
            visit = self.visits.get(address)
            if visit is not None:
                visit.answered(sender, data)
            return
        now = self.clock.now
        for delay, arriving, again in self.network.carry(sender.index, receiver.index, data, now):
            arrive = self._arrive_again if again else self._arrive
            self.schedule(delay, arrive, address, arriving, sender.source, now)

    def _arrive(self, address: Address, data: bytes, source: Address, _sent_at: float) -> None:
        # Whoever has the address now: late packets reach its next tenant.
        receiver = self._by_address.get(address)
        if receiver is not None:
            receiver.datagram_received(data, source)

    def _arrive_again(self, address: Address, data: bytes, source: Address, sent_at: float) -> None:
        if self.network.replays:
            if self.clock.now - sent_at > LATE_SECONDS:
                self.happened("replayed_late")
            self._arrive(address, data, source, sent_at)

    # Time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run(seconds)

    def run_until(self, condition: Callable[[], bool], within: float, what: str = "") -> float:
        """Let time pass until a condition holds; answers how long that took.

        Raises TimeoutError, saying what was awaited and in which world, when it doesn't in time.
        """
        took = self.clock.run_until(condition, within)
        if took is None:
            raise TimeoutError(
                f"{what or 'nothing'} after {within:.6g} s of virtual time (seed {self.seed}, "
                f"{len(self.nodes)} nodes, trace {self.trace_hash})"
            )
        return took

    # The cluster

    def start(self, apart: float = 0.1, count: int | None = None) -> None:
        """Start all nodes, or the first ``count``, one after another."""
        for index, node in enumerate(self.nodes[:count]):
            self.schedule(index * apart, node.start)

    def form(self, within: float = 30.0, count: int | None = None, apart: float = 0.1) -> float:
        """Start all nodes, or the first ``count``, and let time pass until each sees all alive;
        answers that time. ``within`` counts from the start of the last node.
        """
        self.start(apart, count)
        everyone = len(self.nodes[:count])
        within += everyone * apart

        def formed() -> bool:
            # Asked after every event, so one question comes first: to whoever lacked somebody.
            if self._lacking.running and self._lacking.core.size() < everyone:
                return False
            return sum(node.running for node in self.nodes) == everyone and self.is_whole()

        return self.run_until(formed, within, "no whole cluster")

    def begin_formed(self) -> None:
        """All nodes run and know each other, at once: forming a cluster of n costs n² claims, each
        passed on a dozen times, and is another question."""
        for node in self.nodes:
            node.start()
        claims = [node.claim() for node in self.nodes]
        for node in self.nodes:
            node.acquaint(claims)

    def is_whole(self) -> bool:
        """Whether every running node sees exactly all running nodes alive."""
        running = [node for node in self.nodes if node.running]
        # Often asked after every event: how many each sees is cheaper than whom.
        for node in running:
            if node.core.size() < len(running):
                self._lacking = node
                return False
        expected = sorted((node.id, node.generation) for node in running)
        return all(node.alive_seen() == expected for node in running)

    def commit(self, index: int, body: bytes) -> Changeset:
        """Commit at the authority through a node, which pushes it."""
        changeset = self.authority_of(self.nodes[index]).commit(body)
        self.record(facts.COMMIT, index, body)
        self.nodes[index].application.committed(changeset)
        return changeset

    def authority_of(self, node: Node) -> LogAuthority:
        """Which one a node reaches."""
        return self.databases.get(node.index, self.authority)

    def has_spread(self) -> bool:
        """Whether every running node serves the authority's head."""
        head = self.authority.head()
        if self._lacking.running and self._lacking.replica.head() != head:
            return False
        for node in self.nodes:
            if node.running and node.replica.head() != head:
                self._lacking = node
                return False
        return True

    def observe(self, node: Node, event: Event) -> None:
        """A node's core reported an event."""
        self.record(facts.EVENT, node.index, repr(event).encode())
        self.observed.append(Observed(self.clock.now, node.index, event))
        self.checks.observed(node, event)
        node.application.noticed(event)
