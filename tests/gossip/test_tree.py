"""Spreading by relays: the shape of the tree, and what a relay does and doesn't do."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from gossip import limits
from gossip.effects import OpenStream, SendDatagram
from gossip.events import ChangesetApplied
from gossip.member import Member, Status
from gossip.messages import Message
from gossip.messages.changes import Announce, Heartbeat, Push, Request
from gossip.messages.membership import Ack, Alive, Ping
from gossip.messages.spreading import Relay, Relayed
from gossip.replica import Changeset, Head
from gossip.tree import Branch, branches, by_zone, permuted
from gossip.wire import encode_parts
from tests.gossip.drive import (
    PROFILE,
    Driver,
    address,
    alive,
    metadata,
    node_id,
    packet,
    read,
    verdict,
    wire,
)

DIRECT = limits.DIRECT_MEMBERS_MAX


def member(number: int, zone: str = "", status: Status = Status.ALIVE) -> Member:
    data = metadata(f"node-{number}")._replace(zone=zone)
    return Member(node_id(number), 1, 1, 1, status, (f"10.0.{number >> 8}.1", 8005), data, 0.0)


def shape(
    members: Sequence[Member], children_max: int = limits.CHILDREN_MAX, seed: int = 1
) -> list[Branch]:
    return list(branches(by_zone(members), children_max, random.Random(seed)))


def everybody(tree: Sequence[Branch]) -> list[str]:
    return [one.node_id for relay, children in tree for one in (relay, *children)]


@pytest.mark.parametrize("count", [1, 2, 64, 65, 99, 999, 5_000])
@pytest.mark.parametrize("zones", [1, 2, 7, 200])
def test_everybody_is_in_the_tree_once(count: int, zones: int) -> None:
    members = [member(number, f"zone-{number % zones}") for number in range(count)]
    told = Counter(everybody(shape(members)))
    assert told == Counter(one.node_id for one in members)


@pytest.mark.parametrize(("count", "relays"), [(64, 8), (99, 10), (999, 32), (4_096, 64)])
def test_there_are_some_square_root_of_n_relays(count: int, relays: int) -> None:
    tree = shape([member(number) for number in range(count)])
    assert len(tree) == relays
    assert max(len(branch.children) for branch in tree) <= relays


def test_a_cluster_too_large_for_that_has_more_relays_with_full_lists() -> None:
    tree = shape([member(number) for number in range(10_000)])
    assert max(len(branch.children) for branch in tree) <= limits.CHILDREN_MAX
    assert len(tree) < 10_000 / limits.CHILDREN_MAX + 1


def test_relays_differ_from_one_spread_to_the_next() -> None:
    members = [member(number) for number in range(200)]
    rng = random.Random(1)
    times: Counter[str] = Counter()
    for _ in range(200):
        tree = branches(by_zone(members), limits.CHILDREN_MAX, rng)
        times.update(relay.node_id for relay, _ in tree)
    assert len(times) == 200, "everybody's turn comes"
    assert max(times.values()) < 40, "nobody is a relay much more often than 200·14/200 times"


def test_the_companions_of_a_relay_differ_each_time() -> None:
    members = [member(number) for number in range(200)]
    shared: Counter[str] = Counter()
    rng = random.Random(1)
    for _ in range(300):
        for relay, children in branches(by_zone(members), limits.CHILDREN_MAX, rng):
            if relay is members[0]:
                shared.update(child.node_id for child in children)
    assert len(shared) > 100, "the damage of a dead relay is spread"


def test_children_are_of_their_relays_zone() -> None:
    members = [member(number, f"zone-{number % 3}") for number in range(99)]
    for relay, children in shape(members):
        assert {child.metadata.zone for child in children} <= {relay.metadata.zone}


def test_a_small_zone_has_one_relay() -> None:
    members = [member(number, "far" if number < 6 else "near") for number in range(100)]
    far = [branch for branch in shape(members) if branch.relay.metadata.zone == "far"]
    assert len(far) == 1


def test_many_small_zones_do_not_have_a_relay_each() -> None:
    members = [member(number, f"zone-{number}") for number in range(400)]
    assert len(shape(members)) == 20


def test_who_may_be_gone_is_a_child_not_a_relay() -> None:
    doubtful = [member(number, status=Status.SUSPECT) for number in range(30)]
    doubtful += [member(number, status=Status.LEAVING) for number in range(30, 60)]
    blocked = [member(number) for number in range(60, 70)]
    for one in blocked:
        one.path = "tcp"
    members = [*doubtful, *blocked, *[member(number) for number in range(70, 130)]]
    relays = {branch.relay.node_id for branch in shape(members)}
    assert not relays & {one.node_id for one in (*doubtful, *blocked)}


def test_where_nobody_can_be_a_relay_everybody_hears_straight() -> None:
    tree = shape([member(number, status=Status.SUSPECT) for number in range(100)])
    assert [len(branch.children) for branch in tree] == [0] * 100


def test_where_few_can_be_relays_their_lists_are_full_and_no_longer() -> None:
    members = [member(0), *[member(number, status=Status.SUSPECT) for number in range(1, 100)]]
    tree = shape(members, children_max=20)
    assert Counter(everybody(tree)) == Counter(one.node_id for one in members)
    assert max(len(branch.children) for branch in tree) == 20


def test_a_permutation_holds_everybody_once() -> None:
    members = [member(number) for number in range(97)]
    rng = random.Random(1)
    orders = {tuple(one.node_id for one in permuted(members, rng)) for _ in range(50)}
    assert all(sorted(order) == sorted(one.node_id for one in members) for order in orders)
    assert len(orders) == 50


# At a node


def cluster_of(size: int) -> Driver:
    driver = Driver()
    driver.core.acquaint([alive(number) for number in range(2, size + 1)], driver.now)
    driver.core.effects()
    return driver


def commit(driver: Driver, body: bytes = b"body") -> Changeset:
    changeset = driver.authority.commit(body)
    assert driver.replica.offer(*changeset) == "applied"
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    return changeset


def test_up_to_64_members_hear_straight_from_the_origin() -> None:
    driver = cluster_of(DIRECT)
    commit(driver)
    assert len(driver.sent(Push)) == DIRECT - 1
    assert driver.sent(Relay) == []


def test_from_65_members_on_relays_are_told_their_children() -> None:
    driver = cluster_of(DIRECT + 1)
    changeset = commit(driver)
    told = [where for where, _ in driver.sent(Push)]
    children = [wire for _, relay in driver.sent(Relay) for wire in relay.children]
    assert len(told) == 8
    assert Counter([*children, *[wire(int(host.split(".")[-1])) for host, _ in told]]) == Counter(
        wire(number) for number in range(2, DIRECT + 2)
    )
    assert all(message.changeset == changeset for _, message in driver.sent(Push))
    assert driver.core.counters["relays_told"] == 8


@pytest.mark.parametrize("size", [0, 1_000, 1_100, 1_300])
def test_a_change_that_fits_a_packet_leaves_room_for_lists_or_is_announced(size: int) -> None:
    driver = cluster_of(250)
    commit(driver, b"x" * size)
    packets = driver.done(SendDatagram)
    assert max(len(one.data) for one in packets) <= limits.PACKET_BYTES_MAX
    assert len(packets) < 40


def test_whatever_is_spread_fits_beside_its_list() -> None:
    driver = Driver()
    many = [replace_address(alive(number), number) for number in range(2, 5_000)]
    driver.core.acquaint(many, driver.now)
    tree = driver.core._tree
    for size in (1, limits.PACKET_BODY_BYTES_MAX - 8 * limits.CHILDREN_MAX - 12):
        for more in range(16):
            driver.core.effects()
            assert len(tree.spread_parts(bytes(size + more))) == 4_998
            packets = [one.data for one in driver.core.effects() if isinstance(one, SendDatagram)]
            bodies = [len(data) - limits.HEADER_BYTES for data in packets]
            assert max(bodies) <= limits.PACKET_BODY_BYTES_MAX
            assert len(packets) < 100


def replace_address(claim: Alive, number: int) -> Alive:
    return claim._replace(address=(f"10.1.{number >> 8}.{number & 255}", 8005))


def told_by(sender: int, *children: int, changeset: Changeset) -> list[Message]:
    heartbeat = Heartbeat.of(Head(changeset.version, changeset.digest), None)
    return [Relay(tuple(map(wire, children))), Push(changeset, 0.0, 0), heartbeat]


def test_a_relay_passes_on_to_its_children_before_it_does_anything_else() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"body")
    driver.receive(2, *told_by(2, 3, 4, 5, changeset=changeset))
    kinds = [type(effect) for effect in driver.effects]
    assert kinds[:3] == [SendDatagram] * 3
    assert [where for where, _ in driver.sent(Push)] == [address(3), address(4), address(5)]
    assert {message.changeset for _, message in driver.sent(Push)} == {changeset}
    assert driver.events(ChangesetApplied)
    assert driver.core.counters["packets_relayed"] == 3


def test_what_a_relay_does_not_know_is_passed_on_too() -> None:
    driver = cluster_of(10)
    unknown = bytes((250, 3)) + b"new"
    data = packet(2, Relay((wire(3),))) + unknown
    driver.core.datagram_received(data, address(2), driver.now)
    (sent,) = [e for e in driver.core.effects() if isinstance(e, SendDatagram)]
    assert sent.data.endswith(unknown)


def test_a_list_may_name_strangers_oneself_the_sender_the_dead_and_anyone_twice() -> None:
    driver = cluster_of(10)
    driver.receive(3, verdict(9, Status.FAILED))
    changeset = driver.authority.commit(b"body")
    driver.receive(2, *told_by(2, 200, 1, 2, 9, 3, 3, changeset=changeset))
    assert [where for where, _ in driver.sent(Push)] == [address(3)]
    assert driver.core.counters["relays_skipped"] == 5


def test_a_list_that_is_too_long_or_cut_is_not_obeyed_and_the_rest_is_read() -> None:
    driver = cluster_of(100)
    changeset = driver.authority.commit(b"body")
    long = Relay(tuple(wire(number) for number in range(3, 4 + limits.CHILDREN_MAX)))
    driver.receive(2, long, Push(changeset, 0.0, 0))
    assert driver.sent(Push) == []
    assert driver.core.counters["messages_malformed"] == 1
    assert driver.replica.head() == (changeset.version, changeset.digest)


def test_a_stranger_has_nothing_passed_on() -> None:
    driver = cluster_of(10)
    driver.receive(77, *told_by(77, 3, 4, changeset=driver.authority.commit(b"body")))
    assert driver.done(SendDatagram) == []
    assert driver.core.counters["packets_unrelayed"] == 1


@pytest.mark.parametrize("excess", [0, 1])
def test_what_would_not_fit_a_packet_any_more_is_not_passed_on(excess: int) -> None:
    driver = cluster_of(10)
    parts = encode_parts([Relay((wire(3),))])
    rest = limits.PACKET_BODY_BYTES_MAX - len(encode_parts([Relayed(wire(2), None)])) + excess
    unknown = bytes((250, 255)) + (rest - 6).to_bytes(4, "big") + bytes(rest - 6)
    driver.core.datagram_received(packet(2) + parts + unknown, address(2), driver.now)
    assert len(driver.core.effects()) == (0 if excess else 1)
    assert driver.core.counters["packets_unrelayed"] == excess


def test_what_was_passed_on_is_not_passed_on_again() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"body")
    inner = told_by(2, 3, 4, changeset=changeset)
    driver.receive(5, Relayed(wire(2), 0.0), *inner)
    assert driver.sent(Push) == []
    driver.receive(5, inner[1], inner[0])
    assert driver.sent(Push) == [], "a list counts at the beginning of a packet alone"


def test_nothing_is_passed_on_that_came_on_a_stream() -> None:
    driver = cluster_of(10)
    driver.receive_table(2, *told_by(2, 3, changeset=driver.authority.commit(b"body")))
    assert driver.done(SendDatagram) == []


def test_a_childs_delay_and_hops_count_both_ways() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"body")
    driver.receive(5, Relayed(wire(2), 0.25), Push(changeset, 0.5, 0))
    (applied,) = driver.events(ChangesetApplied)
    assert (applied.delay, applied.hops) == (0.75, 2)


def test_a_relay_tells_its_children_how_long_the_way_to_it_is() -> None:
    driver = cluster_of(3)
    driver.effects = []
    while not driver.sent(Ping):
        driver.pass_time(0.001)
    ((where, ping),) = driver.sent(Ping)
    other = int(where[0].split(".")[-1])
    driver.now += 0.03
    driver.receive(other, Ack(ping.sequence))
    child = 5 - other
    changeset = driver.authority.commit(b"body")
    driver.receive(other, *told_by(other, child, changeset=changeset))
    assert [message.residence for _, message in driver.sent(Relayed)] == [
        pytest.approx(0.015, abs=0.001)
    ]


def test_a_head_that_was_passed_on_is_its_origins() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"body")
    heartbeat = Heartbeat.of(Head(changeset.version, changeset.digest), 1.0)
    driver.receive(5, Relayed(wire(2), 0.0), heartbeat)
    told = {number: driver.member(number) for number in (2, 5)}
    assert told[2] is not None
    assert told[5] is not None
    assert (told[2].serving, told[5].serving) == (changeset.version, None)


def test_a_gap_that_a_relay_showed_is_asked_of_the_relay() -> None:
    driver = cluster_of(10)
    driver.authority.commit(b"1")
    second = driver.authority.commit(b"2")
    driver.receive(5, Relayed(wire(2), 0.0), Push(second, 0.0, 0))
    driver.pass_time(PROFILE.repair_patience)
    assert [where for where, _ in driver.sent(Request)] == [address(5)]


@pytest.mark.parametrize("message", [Ping(1), Request(Head((1, 1, 1), b"d" * 32)), alive(2, 9)])
def test_what_is_only_said_straight_is_refused_when_passed_on(message: Message) -> None:
    driver = cluster_of(10)
    driver.receive(5, Relayed(wire(2), 0.0), message)
    assert driver.done(SendDatagram) == []
    assert driver.core.counters["relayed_refused"] == 1
    member = driver.member(2)
    assert member is not None
    assert member.incarnation == 1


def test_a_change_of_an_origin_that_is_no_member_here_is_taken_from_the_relay() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"body")
    heartbeat = Heartbeat.of(Head(changeset.version, changeset.digest), None)
    driver.receive(5, Relayed(wire(200), 0.0), Push(changeset, 0.0, 0), heartbeat)
    assert driver.replica.head() == (changeset.version, changeset.digest)
    assert driver.core.counters["relayed_unknown"] == 1


def test_what_is_passed_on_is_as_it_came() -> None:
    driver = cluster_of(10)
    messages = told_by(2, 3, changeset=driver.authority.commit(b"body"))
    driver.receive(2, *messages)
    (sent,) = driver.done(SendDatagram)
    assert sent.data.endswith(encode_parts(messages[1:]))
    assert read(sent.data)[0] == Relayed(wire(2), None)


# What doesn't fit a packet


def announced_by(sender: int, *children: int, changeset: Changeset) -> list[Message]:
    head = Head(changeset.version, changeset.digest)
    return [Relay(tuple(map(wire, children))), Announce(head), Heartbeat.of(head, None)]


def test_what_is_announced_is_passed_on_once_the_relay_has_it() -> None:
    driver = cluster_of(10)
    large = driver.authority.commit(b"x" * 10_000)
    driver.receive(2, *announced_by(2, 3, 4, changeset=large))
    assert driver.sent(Announce) == []
    driver.pass_time(0.0)
    (stream,) = driver.done(OpenStream)
    driver.core.frame_received(stream.stream, packet(2, Push(large, 0.0, 0)), driver.now)
    driver.effects = driver.core.effects()
    assert [where for where, _ in driver.sent(Announce)] == [address(3), address(4)]
    assert {relayed.origin for _, relayed in driver.sent(Relayed)} == {wire(2)}


def test_a_child_pulls_from_its_relay() -> None:
    driver = cluster_of(10)
    large = driver.authority.commit(b"x" * 10_000)
    driver.receive(5, Relayed(wire(2), 0.0), *announced_by(2, changeset=large)[1:])
    driver.pass_time(0.0)
    assert [stream.address for stream in driver.done(OpenStream)] == [address(5)]


def test_a_relay_that_never_gets_it_keeps_an_announcement_for_a_bounded_time() -> None:
    driver = cluster_of(10)
    large = driver.authority.commit(b"x" * 10_000)
    driver.receive(2, *announced_by(2, 3, 4, changeset=large))
    driver.pass_time_answering(PROFILE.stream_timeout + 1.0, *range(2, 11))
    driver.receive(2, Ping(1))
    assert driver.core.counters["announcements_unrelayed"] == 1
    driver.receive(2, Push(large, 0.0, 0))
    assert driver.sent(Announce) == []


def test_a_relay_keeps_few_announcements() -> None:
    driver = cluster_of(10)
    for number in range(limits.ANNOUNCEMENTS_KEPT_MAX + 3):
        large = driver.authority.commit(b"%d" % number * 5_000)
        driver.receive(2, *announced_by(2, 3, changeset=large))
    assert driver.core.counters["announcements_unrelayed"] == 3


def test_small_changes_do_not_wait_for_the_large_one_beside_them() -> None:
    driver = cluster_of(DIRECT + 1)
    for body in (b"small", b"x" * 10_000, b"small, too"):
        driver.replica.offer(*driver.authority.commit(body))
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    packets = [read(one.data) for one in driver.done(SendDatagram)]
    assert all(
        len({type(message) for message in packet} & {Push, Announce}) == 1 for packet in packets
    )


@pytest.mark.parametrize("dies", ["at once", "in the middle"])
def test_a_peer_that_dies_while_it_gives_a_large_change_is_replaced(dies: str) -> None:
    driver = cluster_of(10)
    first, second = (driver.authority.commit(b"x" * 10_000) for _ in range(2))
    head = Head(second.version, second.digest)
    driver.receive(3, Heartbeat.of(head, None))
    driver.receive(2, Announce(head), Heartbeat.of(head, None))
    driver.pass_time(0.0)
    (stream,) = driver.done(OpenStream)
    assert stream.address == address(2)
    if dies == "in the middle":
        part = packet(2, Push(first, 0.0, 0), Heartbeat.of(head, None))
        driver.core.frame_received(stream.stream, part, driver.now)
    driver.core.stream_closed(stream.stream, driver.now, refused=True)
    driver.receive(2, verdict(2, Status.LEFT, by=2))
    driver.pass_time(0.2)
    asked = [where for where, _ in driver.sent(Request)]
    asked += [stream.address for stream in driver.done(OpenStream)]
    assert address(3) in asked
