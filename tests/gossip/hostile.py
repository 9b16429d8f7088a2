"""Attacks on a core, written as bytes, so that hypothesis and a coverage-guided fuzzer can search.

Every few bytes are one step: something that arrives as a packet or on a stream. ``Outsider`` hears
all that is on the wire and sends what it likes, without the key. ``Insider`` has the key. After
each attack the harness asserts that all tables are within their limits; what else must hold is the
caller's to assert.
"""

import random

from gossip import limits
from gossip.core import Gossip
from gossip.counters import Counters
from gossip.effects import CloseStream, Effect, Notify, OpenStream, SendDatagram, SendFrame
from gossip.events import Event
from gossip.identity import Identity, wire_id
from gossip.keyring import Keyring, configured
from gossip.messages import Message
from gossip.messages.membership import Alive
from gossip.sessions import Sessions
from gossip.stream_sessions import StreamSessions
from gossip.wire import (
    SEALED,
    Rejected,
    cluster_binding,
    cluster_digest,
    decode_header,
    encode_parts,
)
from simulations import facts
from simulations.authority import LogReplica
from simulations.world import World
from tests.gossip.drive import PROFILE, address, metadata

KEY = b"k" * 32
RING = configured(KEY)
CLUSTER = "simulated"
SOURCE = address(9)
_LENGTHS = (0, 1, 19, 20, 26, 41, 48, 76, 80, 200)


class Tapped(World):
    """A world of which every packet and frame is on tape: (kind, receiver, data)."""

    def __init__(self, nodes: int, seed: int, keyring: Keyring | None = None) -> None:
        self.tape: list[tuple[str, int, bytes]] = []
        super().__init__(nodes, seed, keyring=keyring)

    def record(self, kind: int, node: int, what: bytes) -> None:
        super().record(kind, node, what)
        if kind in (facts.DATAGRAM, facts.FRAME):
            self.tape.append(("frame" if kind == facts.FRAME else "datagram", node, what))


class Program:
    """Bytes, read as numbers. At its end it reads as zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, below: int) -> int:
        """Up to 65,536."""
        raw = int.from_bytes(self.take(1 if below <= 256 else 2), "big")
        return raw % below

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken


class Victim:
    """A core under attack, and all that it ever did."""

    def __init__(self, core: Gossip, now: float) -> None:
        self.core = core
        self.now = now
        self.events: list[Event] = []
        self.sent: list[bytes] = []
        """The last packets and frames."""
        self._streams: dict[int, bool] = {}
        self._next_accepted = 100_001

    def packet(self, data: bytes) -> list[bytes]:
        """A packet arrives; the packets that go back."""
        self.core.datagram_received(data, SOURCE, self.now)
        return [e.data for e in self._effects() if isinstance(e, SendDatagram)]

    def accept(self) -> int:
        """Somebody connects."""
        stream, self._next_accepted = self._next_accepted, self._next_accepted + 2
        self._streams[stream] = True
        self.core.stream_accepted(stream, SOURCE, self.now)
        self._effects()
        return stream

    def frame(self, stream: int, data: bytes) -> list[bytes]:
        """A frame arrives on a stream; the frames that go back on it."""
        self.core.frame_received(stream, data, self.now)
        effects = self._effects()
        return [e.frame for e in effects if isinstance(e, SendFrame) and e.stream == stream]

    def close(self, stream: int) -> None:
        self._streams.pop(stream, None)
        self.core.stream_closed(stream, self.now)
        self._effects()

    def open_streams(self) -> list[int]:
        return list(self._streams)

    def assert_bounded(self) -> None:
        """Everything that strangers can make this core remember is within its limit."""
        core = self.core
        assert len(core.members(self.now)) <= limits.MEMBERS_MAX
        assert len(core._streams._by_id) <= limits.STREAMS_ACCEPTED_MAX + limits.STREAMS_OPENED_MAX
        assert len(core._relaying._kept) <= limits.ANNOUNCEMENTS_KEPT_MAX
        assert core._fences.held <= limits.FENCE_QUESTIONS_MAX
        assert len(core._purges._sources) <= limits.PURGE_SOURCES_MAX
        assert len(core._purges._awaited) <= limits.PURGES_AWAITED_MAX
        assert len(core._purges._kept._purges) <= limits.PURGES_KEPT_MAX
        registers = core.kept_registers(self.now)
        assert len(registers) <= limits.REGISTERS_MAX + limits.REGISTERS_DELETED_MAX
        sessions, streams = core._sessions, core._outbox.streams
        if sessions is None or streams is None:
            return
        assert len(sessions.admissions) <= limits.SALTS_ADMITTED_MAX
        assert len(sessions.challenges) <= limits.CHALLENGES_MAX
        assert len(sessions.hints) <= limits.HINT_SOURCES_MAX
        assert len(sessions._recent) <= limits.SENT_MAX
        assert len(sessions._answered) <= limits.CHALLENGES_MAX
        assert len(sessions._debts) == 0
        assert len(streams) <= len(core._streams._by_id)

    def table(self) -> list[tuple[str, str, int, int]]:
        """What it believes of the members."""
        members = self.core.members(self.now)
        return [(m.id, m.status, m.generation, m.incarnation) for m in members]

    def _effects(self) -> list[Effect]:
        effects = self.core.effects()
        for effect in effects:
            if isinstance(effect, Notify):
                self.events.append(effect.event)
            elif isinstance(effect, SendDatagram):
                self.sent.append(effect.data)
            elif isinstance(effect, OpenStream):
                self._streams[effect.stream] = True
                self.sent.append(effect.frame)
            elif isinstance(effect, SendFrame):
                self.sent.append(effect.frame)
            elif isinstance(effect, CloseStream):
                self._streams.pop(effect.stream, None)
        del self.sent[:-50]
        return effects


def cluster() -> Tapped:
    """Three nodes that have talked for a while, over packets and streams."""
    world = Tapped(3, seed=1, keyring=RING)
    world.form()
    for body in (b"small", b"x" * 5_000):
        world.commit(1, body)
    world.run(5.0)
    return world


def living(world: World) -> Victim:
    """Node 0, in the middle of it."""
    return Victim(world.nodes[0].core, world.now)


def just_started(world: World, keyring: Keyring | None = RING) -> Victim:
    """Node 0 after a restart: it remembers nothing."""
    node = world.nodes[0]
    core = Gossip(
        Identity(node.id, node.generation + 1, 7), metadata("node-0"), node.address, CLUSTER,
        PROFILE, LogReplica(), random.Random(7), world.now, keyring=keyring,
    )  # fmt: skip
    core.start(world.now)
    core.effects()
    return Victim(core, world.now)


class Outsider:
    """Hears everything, has no key."""

    def __init__(self, victim: Victim, tape: list[tuple[str, int, bytes]]) -> None:
        self._victim = victim
        self._recorded = [data for _, _, data in tape]
        self._for_victim = [data for _, node, data in tape if node == 0]

    def attack(self, data: bytes) -> None:
        """Carry out a program."""
        program = Program(data)
        while program:
            step = program.number(8)
            if step == 0:
                self._victim.accept()
            elif step == 1:
                for stream in self._victim.open_streams()[: program.number(4)]:
                    self._victim.close(stream)
            elif step == 2:
                self._victim.now += program.number(256) / 1_000
            else:
                self._deliver(self._something(program), program)
        self._victim.assert_bounded()

    def _deliver(self, data: bytes, program: Program) -> None:
        streams = self._victim.open_streams()
        if streams and program.number(2):
            self._victim.frame(streams[program.number(len(streams))], data)
        else:
            self._victim.packet(data)

    def _something(self, program: Program) -> bytes:
        pool = (self._recorded, self._for_victim, self._victim.sent or self._for_victim)
        chosen = pool[program.number(3)]
        data = bytearray(chosen[program.number(len(chosen))])
        step = program.number(6)
        if step == 1:
            data[program.number(len(data))] ^= 1 << program.number(8)
        elif step == 2:
            del data[program.number(len(data)) :]
        elif step == 3:
            # Another form, over the same rest.
            data[2] = program.number(8)
        elif step == 4:
            other = chosen[program.number(len(chosen))]
            cut = _LENGTHS[program.number(len(_LENGTHS))]
            data[cut:] = other[cut:]
        elif step == 5:
            # The header that the victim reads furthest, and anything after it.
            rest = program.take(program.number(256))
            data[limits.HEADER_BYTES :] = rest
            data[2] = program.number(6)
        return bytes(data)


class Insider:
    """Has the key, and a node id of its own; keeps to the conversation and to nothing else."""

    def __init__(self, victim: Victim, world: World, messages: list[Message]) -> None:
        self._victim = victim
        node = world.nodes[2]
        own = Alive(node.id, 1, 1, 1, SOURCE, metadata("insider"))
        self._messages = [own, *messages]
        self._victim_wire = wire_id(world.nodes[0].id)
        self._victim_address = world.nodes[0].address
        wire = wire_id(world.nodes[2].id)
        digest, binding = cluster_digest(CLUSTER), cluster_binding(CLUSTER)
        rng = random.Random(5)
        counters = Counters()
        self._sessions = Sessions(RING, wire, digest, binding, rng, counters, victim.now)
        self._streams = StreamSessions(self._sessions, counters)
        self._kept: list[bytes] = []

    def attack(self, data: bytes) -> None:
        """Carry out a program."""
        program = Program(data)
        while program:
            step = program.number(8)
            if step == 0:
                self._victim.now += program.number(256) / 100
                self._victim.core.advance(self._victim.now)
            elif step == 1 and self._kept:
                self._victim.packet(self._kept[program.number(len(self._kept))])
            elif step == 2:
                self._kept.append(self._seal(self._body(program)))
            elif step == 3:
                self._converse(self._body(program), self._body(program))
            else:
                self.tell(self._body(program))
            del self._kept[:-20]
        self._victim.assert_bounded()

    def _body(self, program: Program) -> bytes:
        chosen = [
            self._messages[program.number(len(self._messages))]
            for _ in range(1 + program.number(4))
        ]
        body = bytearray(encode_parts(chosen))
        step = program.number(4)
        if step == 1:
            body[program.number(len(body))] = program.number(256)
        elif step == 2:
            del body[program.number(len(body)) :]
        elif step == 3:
            body += program.take(program.number(64))
        return bytes(body[: limits.PACKET_BODY_BYTES_MAX])

    def _seal(self, body: bytes) -> bytes:
        return self._sessions.packet(self._victim_address, self._victim_wire, body)

    def seal_unpadded(self, body: bytes) -> bytes:
        """A packet that may be shorter than any of ours."""
        return self._sessions.seal_as(SEALED, self._victim_wire, body)

    def tell(self, body: bytes) -> None:
        """Send a packet, and prove what has to be proved."""
        way = [self._seal(body)]
        while way:
            data = way.pop(0)
            self._kept.append(data)
            for reply in self._victim.packet(data):
                way += self._replies(reply)

    def _replies(self, data: bytes) -> list[bytes]:
        header = decode_header(data)
        try:
            opened = self._sessions.open(header, data, self._victim_address, self._victim.now)
        except Rejected:
            return []
        effects = [*opened.effects, *self._sessions.settle()]
        return [effect.data for effect in effects if isinstance(effect, SendDatagram)]

    def _converse(self, *bodies: bytes) -> None:
        """Open a stream, and say these things on it."""
        stream = self._victim.accept()
        way = [self._streams.opening(0, self._victim_wire, bodies[0])]
        later = list(bodies[1:])
        while way or later:
            if not way:
                way = [self._streams.frame(0, self._victim_wire, later.pop(0))]
            for reply in self._victim.frame(stream, way.pop(0)):
                try:
                    header = decode_header(reply)
                    opened = self._streams.open(header, reply, 0, self._victim.now, accepted=False)
                except Rejected:
                    continue
                way += [e.frame for e in opened.effects if isinstance(e, SendFrame)]
        self._streams.forget(0)
        self._victim.close(stream)
