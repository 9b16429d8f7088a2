"""P8: a machine on the same network that holds no key, and does what it can without one.

It sees every packet, and sends what it has seen again, changed, shortened, or from elsewhere; what
it has made itself, in clear or under a key of its own; and garbage, by packet and by stream. What
it says is well made: a changeset that would fit, a member that would be believed, a snapshot.
"""

import random
from collections import deque
from typing import TYPE_CHECKING

from gossip.address import Address
from gossip.identity import wire_id
from gossip.keyring import configured
from gossip.member import Metadata, Status
from gossip.messages import Message
from gossip.messages.changes import Heartbeat, Push, Request
from gossip.messages.membership import Alive, Verdict
from gossip.replica import Changeset, Head
from gossip.seal import Seal
from gossip.wire import CLEAR, SEALED, cluster_binding, cluster_digest, encode_header, encode_parts
from simulations.node import Node, new_id
from simulations.whole import configuration
from store.changeset import chain

if TYPE_CHECKING:
    from simulations.whole.world import WholeWorld

ADDRESS: Address = ("203.0.113.66", 6_666)
_SEEN_MAX = 64
_OTHER_PORTS = (
    b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(32) + bytes(200),  # TLS, a ClientHello
    bytes.fromhex("0000000804d2162f"),  # Postgres, SSLRequest
)
_REFUSALS = (
    "dropped_clear",
    "dropped_forged",
    "dropped_garbage",
    "dropped_replayed",
    "dropped_unknown_key",
    "dropped_unproven",
    "keyrings_refused",
)


class Hostile:
    """One such machine, from its start on."""

    def __init__(self, world: "WholeWorld", gap: float, *, garbage_only: bool = False) -> None:
        self._world = world
        self._rng = random.Random(world.rng.getrandbits(64))
        self._gap = gap
        self._garbage_only = garbage_only
        self._id = new_id(900, self._rng)
        self._seen: deque[bytes] = deque(maxlen=_SEEN_MAX)
        self.sent_bytes = self.heard_bytes = 0
        """Of packets: what it sent under its own address, and what came back there."""
        self._done = False
        keyring = configured(self._rng.randbytes(32))
        cluster = world.nodes[0].cluster
        self._cluster = cluster_digest(cluster)
        self._seal = Seal(keyring, wire_id(self._id), cluster_binding(cluster), bytes(16))
        world.schedule(gap, self._act)

    def sees(self, sender: Node, address: Address, data: bytes) -> None:
        """A packet on the network; those to its own address are answers to what it has sent."""
        if address == ADDRESS:
            self.heard_bytes += len(data)
        elif self._rng.random() < 0.1:
            self._seen.append(data)

    def stop(self) -> None:
        """It gives up."""
        self._done = True
        more = f"{self.heard_bytes} bytes for {self.sent_bytes}"
        assert self.heard_bytes <= self.sent_bytes, f"P8: a stranger was answered with {more}"

    def _act(self) -> None:
        if self._done:
            return
        world, rng = self._world, self._rng
        world.schedule(rng.expovariate(1 / self._gap), self._act)
        running = [node for node in world.nodes if node.running]
        if not running:
            return
        node = rng.choice(running)
        refused = _refused(node)
        if rng.random() < 0.2:
            self._call(node)
        else:
            data = self._packet(node)
            source = rng.choice([ADDRESS, rng.choice(world.nodes).address])
            self.sent_bytes += len(data) if source == ADDRESS else 0
            node.datagram_received(data, source)
        if node.running and _refused(node) > refused:
            world.happened("forged_refused")

    def _packet(self, node: Node) -> bytes:
        rng = self._rng
        kind = 3 if self._garbage_only else rng.randrange(6)
        if kind < 3 and self._seen:
            data = rng.choice(self._seen)
            if kind == 1:
                place = rng.randrange(len(data))
                return (
                    data[:place] + bytes((data[place] ^ rng.randrange(1, 256),)) + data[place + 1 :]
                )
            return data if kind == 0 else data[: rng.randrange(len(data))]
        if kind == 3:
            return self._noise()
        return self._made(node)

    def _noise(self) -> bytes:
        """Random bytes, or what is meant for another port."""
        rng = self._rng
        return rng.choice([*_OTHER_PORTS, rng.randbytes(rng.randrange(1, 300))])

    def _made(self, node: Node, *, frame: bool = False) -> bytes:
        """What would do harm, were it believed."""
        rng, world = self._rng, self._world
        version, digest = node.replica.head()
        epoch, tag, revision = version
        state = world.truth.state(digest) if world.truth.is_committed(version, digest) else {}
        body = configuration.body_of(rng, configuration.draw(rng, state))
        forged = Changeset(
            (max(epoch, 1), tag or 1, revision + 1), digest, chain(digest, body), body
        )
        victim = rng.choice(world.nodes)
        metadata = Metadata("node-evil", "traditional", "", "1", "", "")
        messages: list[Message] = rng.choice(
            [
                [Push(forged, 0.0, 0)],
                [
                    Verdict(
                        victim.id, victim.generation, victim.incarnation, Status.FAILED, self._id
                    )
                ],
                [Verdict(victim.id, victim.generation, 2**62, Status.LEFT, self._id)],
                [Alive(self._id, 1, 1, 1, ADDRESS, metadata)],
                [Alive(victim.id, 2**40, 1, 1, ADDRESS, metadata)],
                [Request(Head((0, 0, 0), bytes(32)))],
                [Heartbeat.of(Head((2**40, 1, 2**40), bytes(32)), 0.0)],
            ]
        )
        sender = rng.choice([self._id, victim.id])
        parts = encode_parts(messages)
        form = rng.choice([CLEAR, SEALED])
        receiver = wire_id(node.id)
        header = encode_header(form, self._cluster, wire_id(sender), receiver)
        if form == CLEAR:
            return header + parts
        return self._seal.seal(form, header, receiver, parts, frame=frame)

    def _call(self, node: Node) -> None:
        """By a stream."""
        stream = node.stream_offered()
        made = self._rng.random() < 0.7 and not self._garbage_only
        frame = self._made(node, frame=True) if made else self._noise()
        line = _Line()
        node.stream_accepted(stream, line, ADDRESS)  # type: ignore[arg-type]
        if node.running:
            node.frame_received(stream, frame)


class _Line:
    """Its end of a connection."""

    def send(self, node: Node, stream: int, frame: bytes | None) -> None:
        pass

    def far_end(self, node: Node) -> Node | None:
        return None

    def died(self, node: Node, stream: int) -> None:
        pass


def _refused(node: Node) -> int:
    return sum(node.core.counters[name] for name in _REFUSALS)
