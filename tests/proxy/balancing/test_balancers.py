"""Balancers follow the table, the names and the health of their targets."""

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from node.channel import Change
from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.balancer import Balancer
from node.proxy.balancing.balancers import Balancers
from node.proxy.balancing.peer import Peer
from node.proxy.resolver import Found, Record, Resolver
from node.proxy.table import Table
from tests.proxy.balancing.unchecked import Unchecked
from tests.proxy.balancing.upstreams import target, upstream


class Script(Unchecked):
    """A health under a test's thumb."""

    def __init__(self) -> None:
        self.out: set[str] = set()
        self.threshold_missed = False
        self.weights: list[int] = []

    def is_available(self, address: TargetAddress) -> bool:
        return address.host not in self.out

    def is_upstream_available(
        self, upstream_id: str, addresses: Iterable[tuple[TargetAddress, int]]
    ) -> bool:
        self.weights = [weight for _, weight in addresses]
        return not self.threshold_missed


class World:
    """A table, names, health, and the balancers between them."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.names: dict[str, tuple[Record, ...]] = {}
        self.health = Script()
        self.resolver = Resolver(lambda: 0.0, self.look_up, lambda name: None)
        self.balancers = Balancers(self.resolver, self.health, random.Random(1))
        self.table = Table(self.refused.append)

    async def look_up(self, name: str) -> Found:
        return Found(self.names[name], 60.0)

    def apply(self, *changes: Change) -> None:
        self.table.apply((1, 0, 1), changes)
        self.balancers.follow(self.table, whole=False)

    def load(self, *changes: Change) -> None:
        self.table = Table(self.refused.append)
        self.table.apply((2, 0, 1), changes)
        self.balancers.follow(self.table, whole=True)

    async def resolve(self, name: str, *records: Record) -> None:
        self.names[name] = records
        self.resolver._entries.pop(name, None)
        await self.resolver.resolve(name)
        self.balancers.name_changed(name)


UP = upstream("up.test")
ONE, TWO = target(UP, "192.0.2.1:80"), target(UP, "[2001:db8::2]:8080")


def chosen(balancer: Balancer, count: int = 20) -> Counter[str]:
    row = [balancer.choose((), b"", 0.0) for _ in range(count)]
    return Counter(peer.host for peer in row if peer is not None)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.mark.parametrize(
    "algorithm", ["round-robin", "least-connections", "latency", "consistent-hashing"]
)
async def test_failed_addresses_are_avoided_until_all_have_failed(
    world: World, algorithm: str
) -> None:
    up = upstream("up.test", UP[1], algorithm=algorithm)
    world.apply(up, ONE, TWO, target(UP, "192.0.2.3:80"))
    balancer = world.balancers[UP[1]]
    for _ in range(30):
        failed: tuple[Peer, ...] = ()
        for _ in range(3):
            peer = balancer.choose(failed, b"value", 0.0)
            assert peer is not None
            failed += (peer,)
        assert len(set(failed)) == 3
        assert balancer.choose(failed, b"value", 0.0) in failed


async def test_in_a_copy_of_the_table_only_upstreams_that_change_are_looked_at(
    world: World,
) -> None:
    others = [upstream(f"other{number}.test") for number in range(3)]
    world.apply(UP, ONE, TWO, *others, *(target(one, "192.0.2.9:80") for one in others))
    kept = world.balancers[others[0][1]]
    copy = Table(world.refused.append)
    for _ in copy.take_after(world.table):
        pass
    assert not copy.rebalanced
    added = upstream("added.test")
    gone = ("upstreams", others[1][1], None)
    copy.apply((1, 0, 2), [target(UP, "192.0.2.1:80", ONE[1], weight=0), added, gone])
    assert copy.rebalanced.keys() == {UP[1], added[1], others[1][1]}
    world.balancers.follow(copy, whole=True)
    assert set(chosen(world.balancers[UP[1]])) == {"2001:db8::2"}
    assert world.balancers[others[0][1]] is kept
    assert world.balancers[added[1]].peers(0.0) == []
    with pytest.raises(KeyError):
        world.balancers[others[1][1]]


async def test_a_change_of_a_target_touches_its_upstream_only(world: World) -> None:
    other = upstream("other.test")
    world.apply(UP, ONE, TWO, other, target(other, "192.0.2.9:80"))
    untouched = world.balancers[other[1]]
    before = untouched.peers(0.0)
    changed = world.balancers[UP[1]]
    assert set(chosen(changed)) == {"192.0.2.1", "2001:db8::2"}
    world.apply(target(UP, "192.0.2.1:80", ONE[1], weight=0))
    assert world.balancers[UP[1]] is changed
    assert set(chosen(changed)) == {"2001:db8::2"}
    assert untouched.peers(0.0) is before
    world.apply(("targets", TWO[1], None))
    assert not chosen(changed)


async def test_what_is_remembered_outlives_the_table(world: World) -> None:
    up = upstream("up.test", UP[1], algorithm="least-connections")
    world.apply(up, ONE, TWO)
    balancer = world.balancers[UP[1]]
    peer = balancer.choose((), b"", 0.0)
    assert peer is not None
    balancer.algorithm.began(peer)
    algorithm = balancer.algorithm
    world.load(up, ONE, TWO)
    assert world.balancers[UP[1]] is balancer
    assert balancer.algorithm is algorithm
    assert peer.host not in chosen(balancer)
    world.load(upstream("up.test", UP[1]), ONE, TWO)
    assert balancer.algorithm is not algorithm


async def test_what_is_in_no_table_any_more_is_let_go_of(world: World) -> None:
    up = upstream("up.test", UP[1])
    world.apply(up, target(up, "name.test:80"))
    world.load(upstream("other.test"))
    with pytest.raises(KeyError):
        world.balancers[UP[1]]
    assert world.resolver._watched == {}
    assert world.balancers._users == {}


async def test_targets_may_come_before_their_upstream(world: World) -> None:
    world.apply(ONE)
    world.apply(UP)
    assert set(chosen(world.balancers[UP[1]])) == {"192.0.2.1"}


async def test_names_are_shared_by_upstreams_and_followed(world: World) -> None:
    other = upstream("other.test")
    shared = [target(UP, "name.test:80"), target(other, "name.test:81")]
    world.apply(UP, other, *shared)
    both = [world.balancers[UP[1]], world.balancers[other[1]]]
    assert [balancer.choose((), b"", 0.0) for balancer in both] == [None, None]
    assert both[0].unresolved() == ["name.test"]
    await world.resolve("name.test", Record("192.0.2.1"), Record("192.0.2.2"))
    assert [set(chosen(balancer)) for balancer in both] == [{"192.0.2.1", "192.0.2.2"}] * 2
    world.apply(("targets", shared[0][1], None))
    await world.resolve("name.test", Record("192.0.2.3"))
    assert [set(chosen(balancer)) for balancer in both] == [set(), {"192.0.2.3"}]


async def test_ports_weights_and_hosts_of_srv_records(world: World) -> None:
    plain = upstream("plain.test")
    named = upstream("named.test", use_srv_name=True)
    records = (Record("192.0.2.1", 9001, 30, "a.srv.test"), Record("192.0.2.2", 443, 0, "b"))
    world.apply(plain, named, target(plain, "svc.test:80"), target(named, "svc.test:80"))
    await world.resolve("svc.test", *records)
    peers = world.balancers[plain[1]].peers(0.0)
    assert [(peer.host, peer.port, peer.weight) for peer in peers] == [
        ("192.0.2.1", 9001, 30),
        ("192.0.2.2", 443, 1),
    ]
    assert [peer.headers for peer in peers] == [
        (b"svc.test:9001", b"svc.test:9001"),
        (b"svc.test:443", b"svc.test"),
    ]
    headers = [peer.headers[0] for peer in world.balancers[named[1]].peers(0.0)]
    assert headers == [b"a.srv.test:9001", b"b:443"]


async def test_a_drained_target_stays_drained_whatever_its_srv_records_say(world: World) -> None:
    world.apply(UP, target(UP, "svc.test:80", weight=0))
    await world.resolve("svc.test", Record("192.0.2.1", 9001, 30, "a"))
    assert world.balancers[UP[1]].choose((), b"", 0.0) is None


@pytest.mark.parametrize(
    ("host_header", "address", "expected"),
    [
        ("", "192.0.2.1:80", b"192.0.2.1"),
        ("", "192.0.2.1:8080", b"192.0.2.1:8080"),
        ("", "[2001:db8::1]:8080", b"[2001:db8::1]:8080"),
        ("own.test", "192.0.2.1:80", b"own.test"),
        ("own.test", "192.0.2.1:8080", b"own.test:8080"),
        ("own.test:99", "192.0.2.1:8080", b"own.test:99"),
    ],
)
async def test_the_host_that_a_target_is_sent(
    world: World, host_header: str, address: str, expected: bytes
) -> None:
    up = upstream("up.test", host_header=host_header or None)
    world.apply(up, target(up, address))
    assert world.balancers[up[1]].peers(0.0)[0].headers[0] == expected


async def test_the_unhealthy_are_not_chosen_and_below_the_threshold_nobody_is(
    world: World,
) -> None:
    world.apply(UP, ONE, TWO)
    balancer = world.balancers[UP[1]]
    world.health.out = {"192.0.2.1"}
    assert set(chosen(balancer)) == {"2001:db8::2"}
    failed = balancer.choose((), b"", 0.0)
    assert failed is not None
    assert balancer.choose((failed,), b"", 0.0) == failed, "rather than the unhealthy one"
    world.health.out |= {"2001:db8::2"}
    assert balancer.choose((), b"", 0.0) is None
    world.health.out = set()
    world.health.threshold_missed = True
    assert balancer.choose((), b"", 0.0) is None
    assert world.health.weights == [100, 100]
