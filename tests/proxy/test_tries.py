"""The tries of one request: what is chosen, and what health and algorithm are told of it."""

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.proxy import dispatch
from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.balancers import Balancers
from node.proxy.balancing.least_connections import LeastConnections
from node.proxy.forwarded import Peer, Trust
from node.proxy.gateway import Gateway
from node.proxy.heads import HeadParser
from node.proxy.resolver import Found, NoSuchName, Record, Resolver
from node.proxy.stats import Stats
from node.proxy.table import Table
from node.proxy.tries import TIMED_OUT, Tries
from tests.proxy.balancing.unchecked import Unchecked
from tests.proxy.balancing.upstreams import target, upstream
from tests.proxy.process import route, service


class Told(Unchecked):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.words: list[tuple[Any, ...]] = []

    def responded(self, address: TargetAddress, status: int) -> None:
        self.words.append((address.host, status))

    def tcp_failed(self, address: TargetAddress) -> None:
        self.words.append((address.host, "failed"))

    def timed_out(self, address: TargetAddress) -> None:
        self.words.append((address.host, "timed out"))


class Worker:
    """As much of a worker as tries need; ``now`` is its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.health = Told()
        self.names: dict[str, Found] = {}
        self.table = Table(lambda reason: None)
        self.resolver = Resolver(lambda: self.now, self.look_up, lambda name: None)
        self.stats = Stats()
        self.loop = SimpleNamespace(time=lambda: self.now)
        self.balancers = Balancers(self.resolver, self.health, random.Random(1))

    async def look_up(self, name: str) -> Found:
        if name not in self.names:
            raise NoSuchName("no such name")
        return self.names[name]

    def tries(self, url: str, *changes: Any, **fields: Any) -> Tries:
        """Those of a request to a service at ``url``."""
        leads = service(url, **fields)
        self.table.apply((1, 0, 1), [*changes, leads, route(leads, paths=["/"])])
        self.balancers.follow(self.table, whole=False)
        head = HeadParser().feed(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert head is not None
        peer, trust = Peer(b"192.0.2.9", False, False, b"", 80), Trust((), "X-Real-IP", False)
        found = dispatch.find(head, peer, self.table, trust)
        assert isinstance(found, dispatch.Found)
        plan = dispatch.compose(found, head, peer, b"via")
        return Tries(cast("Gateway", self), plan, head, "")


UP = upstream("up.test", algorithm="least-connections")
TARGETS = [target(UP, f"192.0.2.{number}:80") for number in (1, 2)]


@pytest.fixture
async def worker() -> Worker:
    return Worker()


async def test_each_failure_and_the_answer_are_told_of_the_address_that_they_are_of(
    worker: Worker,
) -> None:
    tries = worker.tries("http://up.test:1", UP, *TARGETS)
    hosts = []
    for status in (502, TIMED_OUT):
        peer = tries.choose()
        assert peer is not None
        hosts.append(peer.host)
        worker.now += 1
        tries.fail(status)
    assert sorted(hosts) == ["192.0.2.1", "192.0.2.2"]
    assert worker.health.words == [(hosts[0], "failed"), (hosts[1], "timed out")]
    peer = tries.choose()
    assert peer is not None
    tries.answered(503)
    assert worker.health.words[2:] == [(peer.host, 503)]
    told = [(one.peer.host, one.began, one.status) for one in tries.all()]
    assert told == [
        (hosts[0], 100.0, 502),
        (hosts[1], 101.0, TIMED_OUT),
        (peer.host, 102.0, 0),
    ]
    assert worker.stats.upstream_tries == 3


async def test_a_try_is_under_way_until_it_fails_or_ends_and_counted_once(worker: Worker) -> None:
    tries = worker.tries("http://up.test:1", UP, *TARGETS)
    algorithm = worker.balancers[UP[1]].algorithm
    assert isinstance(algorithm, LeastConnections)

    def under_way() -> int:
        return sum(map(algorithm.under_way, worker.balancers[UP[1]].peers(0.0)))

    tries.choose()
    assert under_way() == 1
    tries.fail(502)
    assert under_way() == 0
    tries.choose()
    worker.table.apply((1, 0, 2), [("targets", each[1], None) for each in TARGETS])
    worker.balancers.follow(worker.table, whole=False)
    tries.end(timed=True)
    tries.end(timed=False)
    assert algorithm._under_way == {}


async def test_a_service_whose_host_is_an_address_needs_no_balancer_and_no_name(
    worker: Worker,
) -> None:
    tries = worker.tries("http://[2001:db8:0::1]:8080")
    peer = tries.choose()
    assert peer is not None
    assert (peer.host, peer.port) == ("2001:db8::1", 8080)
    assert peer.headers[0] == b"[2001:db8:0::1]:8080"
    tries.fail(502)
    assert tries.choose() == peer
    assert worker.health.words == []
    assert tries.upstream is None


async def test_a_services_own_name_is_waited_for_and_its_srv_port_counts(worker: Worker) -> None:
    worker.names["svc.test"] = Found((Record("192.0.2.7", 9000, 1, "x.test"),), 60.0)
    tries = worker.tries("http://svc.test:80")
    assert tries.choose() is None
    await tries.resolved()
    peer = tries.choose()
    assert peer is not None
    assert (peer.host, peer.port, peer.headers[0]) == ("192.0.2.7", 9000, b"svc.test:9000")


async def test_names_that_are_nowhere_are_told_apart_from_upstreams_without_targets(
    worker: Worker,
) -> None:
    named = worker.tries("http://missing.test:80")
    await named.resolved()
    assert named.choose() is None
    assert named.without_peer() == "name resolution failed"


async def test_an_upstream_without_a_target_that_resolves_has_no_peer(worker: Worker) -> None:
    tries = worker.tries("http://up.test:1", UP, target(UP, "missing.test:80"))
    await tries.resolved()
    assert tries.choose() is None
    assert tries.without_peer() == "failure to get a peer from the ring-balancer"
