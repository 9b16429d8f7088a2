"""The asyncio transport on real loopback sockets."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from gossip import limits
from gossip.address import format_address
from gossip.core import Gossip
from gossip.cuts import Cuts
from gossip.effects import SendDatagram
from gossip.events import (
    Behind,
    ChangesetApplied,
    Event,
    LeaveFinished,
    MemberChanged,
    SnapshotInstalled,
)
from gossip.identity import Identity
from gossip.keyring import Keyring, configured
from gossip.knocks import knock
from gossip.limits import KNOCK_SECONDS_MAX, PACKET_BYTES_MAX, REQUEST_FRAME_BYTES_MAX
from gossip.messages import Message
from gossip.messages.changes import Pull
from gossip.messages.membership import Ping
from gossip.profiles import LOCAL
from gossip.sockets import Sockets, bind
from gossip.transport import Transport
from simulations.authority import EMPTY, LogAuthority, LogReplica
from tests.gossip.drive import alive, metadata, node_id, packet

DEADLINE = 10.0

KEYRING = configured(b"k" * 32)


class LoopbackNode:
    """A core, its replica and its transport on real sockets."""

    def __init__(
        self,
        number: int,
        host: str,
        seeds: list[str],
        keyring: Keyring | None = None,
        replica: LogReplica | None = None,
    ) -> None:
        self.sockets: Sockets = bind((host, 0))
        self.address = self.sockets.address
        self.replica = replica or LogReplica()
        self.events: list[Event] = []
        self.incarnations: list[int] = []
        self.core = Gossip(
            Identity(node_id(number), 1, number),
            metadata(f"node-{number}"),
            self.address,
            "loopback",
            LOCAL,
            self.replica,
            random.Random(number),
            asyncio.get_running_loop().time(),
            keyring=keyring,
        )
        self.generations: list[int] = []
        self.cuts = Cuts()
        self.transport = Transport(
            self.core,
            seeds,
            self.events.append,
            self.incarnations.append,
            self.generations.append,
            self.cuts,
        )

    async def start(self) -> None:
        await self.transport.start(self.sockets)

    def sees_alive(self) -> int:
        now = self.transport.now()
        return sum(member.status == "alive" for member in self.core.members(now))

    def has_event(self, kind: type[Event]) -> bool:
        return any(isinstance(event, kind) for event in self.events)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    host: str = request.param
    return host


@pytest.fixture
async def pair(host: str) -> AsyncIterator[tuple[LoopbackNode, LoopbackNode]]:
    """Two nodes that have found each other by a seed."""
    first = LoopbackNode(1, host, [])
    second = LoopbackNode(2, host, [format_address(first.address)])
    await first.start()
    await second.start()
    await eventually(lambda: first.sees_alive() == second.sees_alive() == 2)
    yield first, second
    await first.transport.close()
    await second.transport.close()
    for node in (first, second):
        node.sockets.close()


Pair = tuple[LoopbackNode, LoopbackNode]


async def test_two_nodes_find_each_other_by_a_seed(pair: Pair) -> None:
    assert all(node.has_event(MemberChanged) for node in pair)


@pytest.mark.parametrize("size", [100, 100_000], ids=["by packet", "by stream"])
async def test_a_commit_reaches_the_other_node(pair: Pair, size: int) -> None:
    first, second = pair
    changeset = LogAuthority().commit(b"x" * size)
    first.replica.offer(*changeset)
    first.core.committed(first.transport.now())
    first.transport.flush()
    await eventually(lambda: second.replica.head() == (changeset.version, changeset.digest))
    assert second.has_event(ChangesetApplied)


async def test_closing_with_streams_that_stand_reports_no_error(host: str) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    node = LoopbackNode(1, host, [])
    await node.start()
    reader, writer = await asyncio.open_connection(*node.address)
    await eventually(lambda: node.core.counters["streams_accepted"] == 1)
    await node.transport.close()
    assert await reader.read() == b""
    writer.close()
    node.sockets.close()
    assert reported == []


async def test_garbage_on_the_udp_port_is_counted_and_dropped(pair: Pair) -> None:
    first, second = pair
    host = first.address[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"garbage", b"GV" + bytes(100), b"x" * (PACKET_BYTES_MAX + 1)):
            stranger.sendto(data, first.address)
    counters = first.core.counters
    await eventually(
        lambda: (
            counters["dropped_garbage"] + counters["dropped_version"] >= 3
            and counters["dropped_oversized"] == 1
        )
    )
    assert first.sees_alive() == second.sees_alive() == 2


async def test_an_oversized_frame_is_refused_before_it_is_read(pair: Pair) -> None:
    first, _ = pair
    reader, writer = await asyncio.open_connection(*first.address)
    writer.write((REQUEST_FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    async with asyncio.timeout(DEADLINE):
        assert await reader.read() == b""
    writer.close()
    assert first.transport.counters["frames_oversized"] == 1


async def test_a_garbage_frame_ends_its_stream(pair: Pair) -> None:
    first, _ = pair
    reader, writer = await asyncio.open_connection(*first.address)
    writer.write((7).to_bytes(4, "big") + b"garbage")
    async with asyncio.timeout(DEADLINE):
        assert await reader.read() == b""
    writer.close()
    assert first.core.counters["dropped_garbage"] == 1


async def test_a_peer_that_does_not_read_delays_nobody_and_is_cut_off(pair: Pair) -> None:
    """dskit#192: gossip waited for a slow peer's TCP writes."""
    first, second = pair
    authority = LogAuthority()
    large = authority.commit(b"x" * 4 * 1024 * 1024)
    first.replica.offer(*large)
    reader, writer = await asyncio.open_connection(*first.address)
    questions: list[Message] = [alive(3), *[Pull(EMPTY)] * 8]
    for message in questions:
        frame = packet(3, message, cluster="loopback", receiver=1)
        writer.write(len(frame).to_bytes(4, "big") + frame)
    await eventually(lambda: first.transport.counters["streams_cut_off"] == 1)
    changeset = authority.commit(b"small")
    first.replica.offer(*changeset)
    first.core.committed(first.transport.now())
    first.transport.flush()
    await eventually(lambda: second.replica.head() == (changeset.version, changeset.digest))
    writer.close()
    del reader


async def test_what_waits_on_all_streams_together_is_bounded(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAMS_BUFFER_BYTES_MAX", 1024 * 1024)
    first, second = pair
    large = LogAuthority().commit(b"x" * 4 * 1024 * 1024)
    first.replica.offer(*large)
    _, writer = await asyncio.open_connection(*first.address)
    for message in (alive(3), Pull(EMPTY)):
        frame = packet(3, message, cluster="loopback", receiver=1)
        writer.write(len(frame).to_bytes(4, "big") + frame)
    await eventually(lambda: first.transport.counters["streams_cut_off"] == 1)
    writer.close()
    assert second.transport.counters["streams_cut_off"] == 0


async def test_a_stream_that_trickles_is_cut_off(pair: Pair) -> None:
    first, _ = pair
    reader, writer = await asyncio.open_connection(*first.address)
    writer.write(b"\0")
    async with asyncio.timeout(DEADLINE):
        assert await reader.read() == b""
    writer.close()


async def test_an_event_handler_that_fails_is_reported_and_reading_goes_on(pair: Pair) -> None:
    first, second = pair
    reported: list[dict[str, object]] = []

    def fail(event: Event) -> None:
        raise RuntimeError("a defect in the application")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    second.transport._on_event = fail
    authority = LogAuthority()
    for body in (b"1", b"2"):
        changeset = authority.commit(body)
        first.replica.offer(*changeset)
        first.core.committed(first.transport.now())
        first.transport.flush()
    await eventually(lambda: second.replica.head() == (changeset.version, changeset.digest))
    await eventually(lambda: len(reported) == 2)
    assert second.transport.counters["errors"] == 2


async def test_a_closed_transport_does_nothing_more(pair: Pair) -> None:
    first, second = pair
    await second.transport.close()
    before = dict(second.core.counters)
    second.core.join([first.address], second.transport.now())
    second.transport.flush()
    assert second.transport.counters["streams_unopened"] == 0
    assert second.core.counters["datagrams_out"] == before["datagrams_out"]


async def test_a_leave_is_seen_by_the_other_node(pair: Pair) -> None:
    first, second = pair
    second.core.leave(second.transport.now())
    second.transport.flush()
    await eventually(lambda: second.has_event(LeaveFinished))
    await eventually(lambda: any(m.status == "left" for m in first.core.members(0.0)))


async def test_a_taken_port_is_an_error_that_names_it(host: str) -> None:
    held = bind((host, 0))
    try:
        with pytest.raises(OSError, match=r"cluster_listen: .*in use"):
            bind(held.address)
    finally:
        held.close()


async def test_a_seed_that_does_not_resolve_is_counted() -> None:
    node = LoopbackNode(1, "127.0.0.1", ["no-such-host.invalid:8005"])
    await node.start()
    await eventually(lambda: node.transport.counters["seeds_unresolved"] >= 1)
    await node.transport.close()
    node.sockets.close()


def test_it_runs_on_uvloop() -> None:
    async def meet() -> None:
        first = LoopbackNode(1, "127.0.0.1", [], KEYRING)
        second = LoopbackNode(2, "127.0.0.1", [format_address(first.address)], KEYRING)
        await first.start()
        await second.start()
        await eventually(lambda: first.sees_alive() == second.sees_alive() == 2)
        for body in (b"small", b"x" * 300_000):
            first.replica.offer(*authority.commit(body))
            first.core.committed(first.transport.now())
            first.transport.flush()
        await eventually(lambda: second.replica.head() == first.replica.head())
        await first.transport.close()
        await second.transport.close()

    authority = LogAuthority()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(meet())


def large_state(authority: LogAuthority) -> LogReplica:
    """20 MB that the replica's own log doesn't lead to."""
    replica, rng = LogReplica(log_max=1), random.Random(1)
    for _ in range(200):
        replica.offer(*authority.commit(rng.randbytes(100_000)))
    return replica


async def begin_to_fill(node: LoopbackNode) -> None:
    """Let it take a peer's state, and return in the midst of that."""
    await eventually(lambda: node.has_event(Behind))
    assert node.core.fetch_snapshot(node.transport.now())
    node.transport.flush()
    await eventually(lambda: node.core.counters["slices_in"] > 3)
    assert not node.has_event(SnapshotInstalled)


@pytest.mark.parametrize("keyring", [None, KEYRING], ids=["in clear", "sealed"])
def test_20_mb_of_state_are_taken_from_a_peer_while_a_change_arrives(
    keyring: Keyring | None,
) -> None:
    async def fill() -> None:
        first = LoopbackNode(1, "127.0.0.1", [], keyring, large_state(authority))
        second = LoopbackNode(2, "127.0.0.1", [format_address(first.address)], keyring)
        await first.start()
        await second.start()
        await begin_to_fill(second)
        first.replica.offer(*authority.commit(b"meanwhile"))
        first.core.committed(first.transport.now())
        first.transport.flush()
        await eventually(lambda: second.replica.head() == first.replica.head())
        assert second.replica.state == first.replica.state
        assert second.has_event(SnapshotInstalled)
        for node in (first, second):
            await node.transport.close()

    authority = LogAuthority()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(fill())


async def test_a_peer_that_dies_while_it_gives_its_state_is_replaced_by_another() -> None:
    state = large_state(LogAuthority())
    givers = [LoopbackNode(number, "127.0.0.1", [], replica=state) for number in (1, 2)]
    seeds = [format_address(giver.address) for giver in givers]
    newcomer = LoopbackNode(3, "127.0.0.1", seeds)
    for node in (*givers, newcomer):
        await node.start()
    await eventually(lambda: newcomer.sees_alive() == 3)
    await begin_to_fill(newcomer)
    (dying,) = (giver for giver in givers if giver.core.counters["slices_out"])
    await dying.transport.close()
    await eventually(lambda: newcomer.has_event(SnapshotInstalled))
    assert newcomer.replica.state == state.state
    assert newcomer.core.counters["snapshots_silent"] == 1
    for node in (*givers, newcomer):
        await node.transport.close()
        node.sockets.close()


LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@LOOPS
def test_a_knock_at_a_closed_port_is_refused_both_ways(
    host: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def visit() -> None:
        sockets = bind((host, 0))
        sockets.close()
        assert await knock(sockets.address, b"packet") == ("refused", "refused", None)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(visit())


async def test_a_knock_at_a_running_node_is_answered_and_open(pair: Pair) -> None:
    first, second = pair
    other = first.core._members.sender(second.core._members.me.wire)
    assert other is not None
    packet = first.core._outbox.packet(other, [Ping(1)])
    udp, tcp, answer = await knock(second.address, packet)
    assert (udp, tcp) == ("answered", "open")
    assert answer is not None


async def test_a_knock_that_nobody_answers_is_silent_in_time(host: str) -> None:
    sockets = bind((host, 0))
    sockets.tcp.listen()
    try:
        async with asyncio.timeout(2 * KNOCK_SECONDS_MAX):
            assert await knock(sockets.address, b"packet") == ("silent", "open", None)
    finally:
        sockets.close()


@LOOPS
def test_a_node_whose_sockets_are_closed_is_failed_at_once(
    host: str, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """As the kernel does for a killed process: the watch streams end, the ports are closed."""

    async def kill() -> None:
        first = LoopbackNode(1, host, [])
        seeds = [format_address(first.address)]
        second, third = (LoopbackNode(n, host, seeds) for n in (2, 3))
        for node in (first, second, third):
            await node.start()
        await eventually(
            lambda: all(len(n.core._streams.watches()) == 4 for n in (first, second, third))
        )
        await eventually(
            lambda: all(
                stream.stood_since is not None
                for node in (first, second, third)
                for stream in node.core._streams.watches()
            )
        )
        await second.transport.close()
        begun = first.transport.now()
        await eventually(lambda: status_of(first, 2) == status_of(third, 2) == "failed")
        assert first.transport.now() - begun < LOCAL.suspicion_mult * LOCAL.probe_interval
        counters = [node.core.counters["refusal_verdicts"] for node in (first, third)]
        assert sum(counters) >= 1
        assert first.sees_alive() == third.sees_alive() == 2
        for node in (first, third):
            await node.transport.close()
            node.sockets.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(kill())


def status_of(node: LoopbackNode, number: int) -> str | None:
    for member in node.core.members(node.transport.now()):
        if member.id == node_id(number):
            return member.status
    return None


async def test_what_waits_in_the_socket_is_read_before_a_late_timer_is_judged(pair: Pair) -> None:
    first, _ = pair
    packets_at_advance: list[int] = []
    advance = first.core.advance

    def observe(now: float) -> None:
        packets_at_advance.append(first.core.counters["datagrams_in"])
        advance(now)

    first.core.advance = observe  # type: ignore[method-assign]
    before = first.core.counters["datagrams_in"]
    family = socket.AF_INET6 if ":" in first.address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        for _ in range(50):
            stranger.sendto(b"waiting", first.address)
    first.transport._timer_at = first.transport.now() - 1.0
    first.transport._on_timer()
    await eventually(lambda: bool(packets_at_advance))
    assert packets_at_advance[0] >= before + 50


async def test_a_refused_stream_raises_nothing_and_is_told(pair: Pair, host: str) -> None:
    first, _ = pair
    told: list[bool] = []
    closed = bind((host, 0))
    closed.close()

    def observe(stream: int, now: float, refused: bool = False) -> None:
        told.append(refused)

    first.core.stream_closed = observe  # type: ignore[method-assign]
    first.core.join([closed.address], first.transport.now())
    first.transport.flush()
    await eventually(lambda: True in told)  # others may close meanwhile
    assert first.transport.counters["errors"] == 0


def cut(node: LoopbackNode, *others: LoopbackNode) -> None:
    node.cuts.set(frozenset(other.address for other in others))


async def test_nothing_crosses_a_cut_and_what_was_missed_comes_once_it_heals(pair: Pair) -> None:
    first, second = pair
    cut(first, second)
    cut(second, first)
    changeset = LogAuthority().commit(b"x" * 100)
    first.replica.offer(*changeset)
    first.core.committed(first.transport.now())
    first.transport.flush()
    await eventually(lambda: min(node.transport.counters["losses_played"] for node in pair) > 3)
    assert second.replica.head() != (changeset.version, changeset.digest)
    # Lost, not refused: nobody is told.
    assert first.transport.counters["streams_unopened"] == 0
    cut(first)
    cut(second)
    await eventually(lambda: second.replica.head() == (changeset.version, changeset.digest))


async def test_packets_of_who_is_cut_off_are_lost_even_if_it_sends_them(pair: Pair) -> None:
    first, second = pair
    cut(first, second)
    cut(second, first)  # or else it may knock, from a socket whose address nobody knows
    received = first.core.counters["datagrams_in"]
    lost = first.transport.counters["losses_played"]
    assert second.transport._datagrams is not None
    for _ in range(100):  # more than the first may lose of its own meanwhile
        second.transport._datagrams.send(SendDatagram(first.address, b"lost"))
    await eventually(lambda: first.transport.counters["losses_played"] >= lost + 100)
    assert first.core.counters["datagrams_in"] == received
