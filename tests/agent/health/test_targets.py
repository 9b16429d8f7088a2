"""The health of targets on several nodes of one process: workers' results, probes, words, and what
is set by hand. Targets are real servers on loopback, or ports on which nobody listens."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from gossip.events import Observed, RegisterChanged
from node.agent.health import limits, words
from node.agent.health.manual import Setting
from node.agent.health.targets import TargetHealth
from node.channel import Change, Decoder, Doubted, Frame, Judged
from node.channel import Observed as Results
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result, State
from node.proxy.health.settings import checks_of as checks_of_fields
from node.proxy.resolver import Found, NoSuchName, Record
from store.authority import State as WholeState
from store.changeset import Change as StoredChange
from store.contents import PinnedState
from store.replica import Replica
from store.version import Head, Version
from tests.proxy.health.upstreams import (
    UPSTREAM_ID,
    active,
    address,
    passive,
    target,
    upstream,
    uuid_of,
)

DEADLINE_SECONDS = 10.0
TWO_FAILURES = passive(successes=1, http_failures=2, tcp_failures=2)


async def looked_up(name: str) -> Found:
    if name != "a.test":
        raise NoSuchName("no such name")
    return Found((Record("127.0.0.1"), Record("::1")), 60.0)


class Cluster:
    """Nodes that hear each other at the next turn of the loop."""

    def __init__(self, count: int, *changes: Change) -> None:
        self.alive = tuple(uuid_of(1000 + number) for number in range(count))
        self.registers: dict[str, str | None] = {}
        self.nodes = [Node(self, node_id, changes) for node_id in self.alive]

    def tell(self, by: str, body: bytes) -> bool:
        for node in self.nodes:
            if node.node_id != by:
                asyncio.get_running_loop().call_soon(node.health.heard, Observed(by, body))
        return True

    def set_register(self, name: str, value: str | None, seconds: float | None) -> None:
        self.registers[name] = value
        for node in self.nodes:
            node.health.register_changed(RegisterChanged(name, value, seconds))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_all(self, which: TargetAddress, available: bool) -> None:
        await self.until(lambda: all(node.takes(which) == available for node in self.nodes))


class Node:
    def __init__(self, cluster: Cluster, node_id: str, changes: tuple[Change, ...]) -> None:
        self.node_id = node_id
        self.said: list[Frame] = []
        """What all its workers were told."""
        self.pinned = pinned(*changes)
        self.health = TargetHealth(
            lambda: node_id,
            lambda: cluster.alive,
            self.said.append,
            lambda body: cluster.tell(node_id, body),
            cluster.set_register,
            lambda: self.pinned,
            random.Random(node_id),
            looked_up,
        )
        self.states: dict[TargetAddress, State] = {}

    def takes(self, which: TargetAddress) -> bool:
        """Whether its workers send requests there, by what they were told."""
        for frame in self.said:
            if isinstance(frame, Judged):
                for *at, state in frame.states:
                    self.states[TargetAddress(*at)] = State(state)  # type: ignore[arg-type]
        return self.states.get(which, State.HEALTHY).available

    def found(self, which: TargetAddress, *results: Result, doubted: bool = False) -> list[Frame]:
        """One of its workers tells results; what it is answered."""
        answer: list[bytes] = []
        told = tuple((*which, int(result), doubted) for result in results)
        self.health.observed(answer.append, Results(told))
        return list(Decoder().feed(b"".join(answer)))


def pinned(*changes: Change) -> PinnedState:
    replica = Replica("")
    head = Head(Version(1, 0, 1), b"d" * 32)
    replica.load(WholeState(head, tuple(StoredChange(*change) for change in changes)))
    return replica.pin()


@pytest.fixture
async def running() -> AsyncIterator[Callable[[Cluster], None]]:
    """Starts what nodes do by themselves."""
    tasks: list[asyncio.Task[None]] = []

    def start(cluster: Cluster) -> None:
        for node in cluster.nodes:
            tasks.append(asyncio.create_task(node.health.run()))

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def loaded(cluster: Cluster) -> Cluster:
    for node in cluster.nodes:
        node.health.loaded()
    await cluster.until(
        lambda: all(sum(node.health.addresses_by_state().values()) for node in cluster.nodes)
    )
    return cluster


async def served(count: int = 1) -> Cluster:
    """Nodes with two targets that only requests judge."""
    return await loaded(Cluster(count, upstream(TWO_FAILURES), target(1), target(2)))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def test_the_results_of_all_workers_count_together() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    assert node.found(address(1), Result.HTTP_FAILURE) == [
        Judged(((*address(1), State.MOSTLY_HEALTHY),))
    ]
    assert node.takes(address(1))
    node.found(address(1), Result.HTTP_FAILURE)
    assert not node.takes(address(1))
    assert node.health.addresses_by_state() == {"healthy": 1, "unhealthy": 1}


async def test_a_worker_that_counted_alone_hears_how_it_stands_with_all() -> None:
    (node,) = (await served()).nodes
    node.found(address(1), Result.HTTP_FAILURE)
    node.found(address(1), Result.SUCCESS)
    (frame,) = node.found(address(1), Result.HTTP_FAILURE)
    assert frame == Judged(((*address(1), State.MOSTLY_HEALTHY),))


async def test_results_of_unknown_targets_and_unchecked_upstreams_are_ignored() -> None:
    (node,) = (await served()).nodes
    assert node.found(address(7), Result.TCP_FAILURE, Result.TCP_FAILURE) == []
    other = address(1)._replace(upstream_id=uuid_of(9))
    assert node.found(other, Result.TCP_FAILURE, Result.TCP_FAILURE) == []


async def test_what_requests_found_on_one_node_is_a_doubt_on_the_others() -> None:
    cluster = await served(3)
    first, *others = cluster.nodes
    first.found(address(1), Result.TCP_FAILURE, Result.TCP_FAILURE)
    doubt = Doubted(*address(1), limits.DOUBT_SECONDS)
    await cluster.until(lambda: all(doubt in node.said for node in others))
    assert doubt not in first.said
    assert all(node.takes(address(1)) for node in others), "a hint alone takes nothing out"
    others[0].found(address(1), Result.TCP_FAILURE, doubted=True)
    assert not others[0].takes(address(1))


async def test_words_about_what_is_no_address_of_a_target_raise_no_doubt() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    strange = [address(1, port=99), address(9), address(1)._replace(upstream_id=uuid_of(9))]
    said = tuple((which, False) for which in strange)
    body = words.write(words.Words(words.Kind.SERVED, said))
    node.health.heard(Observed(uuid_of(1001), body))
    node.health.heard(Observed(uuid_of(1001), b"garbage"))
    assert node.said == []
    assert node.health.counters()["target_words_malformed"] == 1


async def test_what_is_set_by_hand_holds_on_every_node_and_counts_from_the_beginning() -> None:
    cluster = await served(2)
    first, second = cluster.nodes
    target_id = address(1).target_id
    first.health.set(UPSTREAM_ID, target_id, "", 0, healthy=False)
    assert not first.takes(address(1))
    assert not second.takes(address(1))
    assert second.takes(address(2))
    second.health.set(UPSTREAM_ID, target_id, "", 0, healthy=True)
    assert first.takes(address(1))
    first.found(address(1), Result.TCP_FAILURE)
    assert first.takes(address(1))


async def test_only_the_address_that_is_named_is_set() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    node.health.set(UPSTREAM_ID, address(1).target_id, "10.0.0.1", 81, healthy=False)
    assert node.takes(address(1))
    node.health.set(UPSTREAM_ID, address(1).target_id, "10.0.0.1", 80, healthy=False)
    assert not node.takes(address(1))


async def test_what_was_set_before_a_target_is_known_holds_once_it_is() -> None:
    cluster = Cluster(1, upstream(TWO_FAILURES), target(1))
    (node,) = cluster.nodes
    setting = Setting(UPSTREAM_ID, address(1).target_id, "", 0, healthy=False)
    node.health.register_changed(RegisterChanged(setting.subject, json.dumps(setting), None))
    await loaded(cluster)
    assert not node.takes(address(1))


async def test_a_register_that_names_something_else_than_it_says_sets_nothing() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    good = Setting(UPSTREAM_ID, address(1).target_id, "", 0, healthy=False)
    name = good.subject
    for value in ("", "7", "[]", json.dumps(good._replace(target_id=uuid_of(9)))):
        node.health.register_changed(RegisterChanged(name, value, None))
    node.health.register_changed(RegisterChanged("log_level", "debug", None))
    assert node.said == []


async def test_a_worker_that_begins_is_told_who_is_in_trouble() -> None:
    (node,) = (await served()).nodes
    node.found(address(1), Result.TCP_FAILURE, Result.TCP_FAILURE)
    told: list[bytes] = []
    node.health.worker_ready(told.append)
    assert list(Decoder().feed(b"".join(told))) == [Judged(((*address(1), State.UNHEALTHY),))]


async def test_a_target_that_is_deleted_is_forgotten_with_what_was_set() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    node.health.set(UPSTREAM_ID, address(1).target_id, "", 0, healthy=False)
    assert [value for value in cluster.registers.values() if value]
    node.health.applied([StoredChange("targets", address(1).target_id, None)])
    assert not [value for value in cluster.registers.values() if value]
    assert node.health.addresses_by_state() == {"healthy": 1, "unhealthy": 0}


async def test_changes_that_come_while_a_state_is_read_are_not_lost() -> None:
    cluster = Cluster(1, upstream(TWO_FAILURES), target(1))
    (node,) = cluster.nodes
    node.health.loaded()
    node.health.applied([StoredChange(*target(2))])
    await cluster.until(lambda: node.health.addresses_by_state()["healthy"] == 2)


async def test_a_great_changeset_is_taken_in_parts_and_what_it_deletes_is_forgotten() -> None:
    cluster = await served()
    (node,) = cluster.nodes
    node.health.set(UPSTREAM_ID, address(1).target_id, "", 0, healthy=False)
    more = [target(number, "10.0.1.1", number) for number in range(3, limits.TAKEN_AT_ONCE + 4)]
    node.pinned = pinned(upstream(TWO_FAILURES), target(2), *more)
    gone = StoredChange("targets", address(1).target_id, None)
    node.health.applied([gone, *(StoredChange(*one) for one in more)])
    wanted = {"healthy": 1 + len(more), "unhealthy": 0}
    await cluster.until(lambda: node.health.addresses_by_state() == wanted)
    assert not [value for value in cluster.registers.values() if value]


async def test_probes_take_out_and_bring_back_and_end_what_was_set(
    running: Callable[[Cluster], None],
) -> None:
    port = closed_port()
    which = address(1, "127.0.0.1", port)
    checks = active(0.02, 2, type="tcp")
    cluster = Cluster(3, upstream(checks), target(1, "127.0.0.1", port), target(2, "127.0.0.2"))
    running(cluster)
    await cluster.until_all(which, False)
    with socket.create_server(("127.0.0.1", port)):
        await cluster.until_all(which, True)
        cluster.nodes[0].health.set(UPSTREAM_ID, which.target_id, "", 0, healthy=False)
        await cluster.until_all(which, True)
        await cluster.until(lambda: not [one for one in cluster.registers.values() if one])


async def test_an_upstream_whose_checks_are_turned_off_is_probed_no_more(
    running: Callable[[Cluster], None],
) -> None:
    port = closed_port()
    which = address(1, "127.0.0.1", port)
    cluster = Cluster(1, upstream(active(0.02, 1)), target(1, "127.0.0.1", port))
    (node,) = cluster.nodes
    running(cluster)
    await cluster.until_all(which, False)
    node.health.applied([StoredChange(*upstream({}))])
    assert node.health.addresses_by_state() == {"healthy": 0, "unhealthy": 0}
    report = await node.health.report_upstream(UPSTREAM_ID)
    assert [one.available for one in report[0].addresses] == [True]


async def test_the_threshold_decides_about_the_upstream_as_a_whole() -> None:
    checks = {**TWO_FAILURES, "threshold": 50}
    cluster = await loaded(Cluster(1, upstream(checks), target(1), target(2)))
    (node,) = cluster.nodes
    read = checks_of_fields(json.loads(upstream(checks)[2] or ""))
    assert node.health.is_healthy(read, await node.health.report_upstream(UPSTREAM_ID))
    node.found(address(1), Result.TCP_FAILURE, Result.TCP_FAILURE)
    assert not node.health.is_healthy(read, await node.health.report_upstream(UPSTREAM_ID))


async def test_a_name_is_looked_up_and_reported_when_it_leads_nowhere(
    running: Callable[[Cluster], None],
) -> None:
    cluster = Cluster(
        1, upstream(TWO_FAILURES), target(1, "a.test"), target(2, "no-such-name.invalid")
    )
    (node,) = cluster.nodes
    running(cluster)
    await cluster.until(lambda: sum(node.health.addresses_by_state().values()) > 0)
    reports = {one.target.host: one for one in await node.health.report_upstream(UPSTREAM_ID)}
    assert [one.host for one in reports["a.test"].addresses] == ["127.0.0.1", "::1"]
    assert reports["a.test"].problem == ""
    assert reports["no-such-name.invalid"].addresses == ()
    assert "no-such-name.invalid" in reports["no-such-name.invalid"].problem
