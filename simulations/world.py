"""The world: a clock, a heap of events, and nodes that run the real protocol core.

One seed decides everything, so a run is replayed by its seed, and two runs of one seed have the
same trace hash. Events of one instant happen in the order in which they were scheduled.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from gossip.events import Behind, Event, MemberChanged
from gossip.keyring import Keyring
from gossip.profiles import LAN, Profile
from gossip.replica import Changeset
from simulations.authority import LogAuthority
from simulations.network import Link, Network
from simulations.node import Connection, Node, Visit


class Observed(NamedTuple):
    """An event that a node's core reported."""

    at: float
    node: int
    event: Event


class World:
    """Nodes 0 to n - 1 with addresses 10.0.0.1, …; the first three are everyone's seeds."""

    def __init__(
        self,
        nodes: int,
        seed: int,
        profile: Profile = LAN,
        link: Link | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self.now = 0.0
        self.seed = seed
        self.profile = profile
        self.keyring = keyring
        self.rng = random.Random(seed)
        self.network = Network(link or Link(), self.rng)
        self.authority = LogAuthority()
        self.observed: list[Observed] = []
        self.nodes = [Node(self, index) for index in range(nodes)]
        self._by_address = {node.address: node for node in self.nodes}
        self.visits: dict[tuple[str, int], Visit] = {}
        """Knocks under way, by the address they come from."""
        self.seeds = [node.address for node in self.nodes[:3]]
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._trace = hashlib.blake2b(digest_size=16)
        self._precedences: dict[tuple[int, int, str], tuple[int, int]] = {}

    @property
    def trace_hash(self) -> str:
        """Stands for everything that happened so far."""
        return self._trace.hexdigest()

    def at_address(self, address: tuple[str, int]) -> Node | None:
        return self._by_address.get(address)

    def give_address(self, former: Node, tenant: Node) -> None:
        """A node that doesn't run gets the address that another one had."""
        assert not former.running
        assert not tenant.running
        del self._by_address[tenant.address]
        tenant.address = former.address
        self._by_address[tenant.address] = tenant

    def schedule(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call an action ``delay`` seconds from now."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, action, arguments))

    def record(self, kind: str, *what: object) -> None:
        """Add a fact to the trace."""
        self._trace.update(repr((round(self.now, 9), kind, *what)).encode())

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self._step()
        self.now = end

    def run_until(self, condition: Callable[[], bool], within: float) -> float:
        """Let time pass until a condition holds; answers how long that took.

        Raises TimeoutError, with the line that replays this world, when it doesn't in time.
        """
        begun, end = self.now, self.now + within
        while not condition():
            if not self._heap or self._heap[0][0] > end:
                raise TimeoutError(
                    f"nothing after {within} s of virtual time (seed {self.seed}, "
                    f"{len(self.nodes)} nodes, trace {self.trace_hash})"
                )
            self._step()
        return self.now - begun

    def start(self, apart: float = 0.1, count: int | None = None) -> None:
        """Start all nodes, or the first ``count``, one after another."""
        for index, node in enumerate(self.nodes[:count]):
            self.schedule(index * apart, node.start)

    def form(self, within: float = 30.0, count: int | None = None) -> float:
        """Start all nodes, or the first ``count``, and let time pass until each sees all alive;
        answers that time. ``within`` counts from the start of the last node.
        """
        self.start(count=count)
        everyone = len(self.nodes[:count])
        within += everyone * 0.1
        return self.run_until(
            lambda: sum(node.running for node in self.nodes) == everyone and self.is_whole(), within
        )

    def is_whole(self) -> bool:
        """Whether every running node sees exactly all running nodes alive."""
        running = [node for node in self.nodes if node.running]
        expected = sorted((node.id, node.generation) for node in running)
        return all(node.alive_seen() == expected for node in running)

    def commit(self, index: int, body: bytes) -> Changeset:
        """Commit at the authority through a node, which pushes it."""
        changeset = self.authority.commit(body)
        self.record("commit", index, changeset.version)
        self.nodes[index].committed(changeset)
        return changeset

    def has_spread(self) -> bool:
        """Whether every running node serves the authority's head."""
        head = self.authority.head()
        return all(node.replica.head() == head for node in self.nodes if node.running)

    def observe(self, node: Node, event: Event) -> None:
        """A node's core reported an event."""
        self.record("event", node.index, event)
        self.observed.append(Observed(self.now, node.index, event))
        if isinstance(event, MemberChanged):
            self._check_monotone(node, event)
        elif isinstance(event, Behind):
            if self.authority.available:
                node.load()
            else:
                node.fetch_snapshot()

    def check_head(self, node: Node) -> None:
        """A replica's version never goes backwards, not even over a crash (DESIGN 1, P2)."""
        version = node.replica.head()[0]
        assert version >= node.highest, f"node {node.index} went back to {version}"
        node.highest = version

    def connect(self, connection: Connection, frame: bytes) -> None:
        """A stream is opened; its far end answers, refuses, or can't be reached."""
        node = self.at_address(connection.address)
        if node is None:
            return
        there = self.network.passes(connection.opener.index, node.index, "tcp")
        back = self.network.passes(node.index, connection.opener.index, "tcp")
        if there and back and not node.running:
            self.schedule(2 * self.network.segment(), connection.refused)
        elif there and back:
            # A handshake and the way of the first frame: three times the latency.
            delay = sum(self.network.segment() for _ in range(3))
            self.schedule(delay, connection.accepted, node, frame)

    def _check_monotone(self, node: Node, event: MemberChanged) -> None:
        member = event.member
        key = (node.index, node.generation, member.id)
        precedence = (member.generation, member.incarnation)
        assert self._precedences.get(key, (0, 0)) <= precedence, f"{member} moved backwards"
        self._precedences[key] = precedence

    def _step(self) -> None:
        at, _, action, arguments = heapq.heappop(self._heap)
        assert at >= self.now, "time runs forward"
        self.now = at
        action(*arguments)
