"""Changesets that a replica prepares beside what it serves, driven by hand and in a cluster."""

import random

import pytest

from gossip import limits
from gossip.early import Arrival, EarlyBuffer
from gossip.effects import SendFrame
from gossip.events import ChangesetApplied
from gossip.messages.changes import Announce, Pull, Push, Request
from gossip.replica import Changeset, Head
from simulations.authority import EntityReplica, LogAuthority
from simulations.authority.entities import body_of
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import Driver, address, packet
from tests.gossip.test_reconcile import replica_of, sound

COUNT = 1_500
LARGE = body_of([("services", f"large-{number:05d}", '{"name":"n"}') for number in range(COUNT)])


def small(number: int) -> bytes:
    return body_of([("routes", f"{number:05d}", '{"name":"r"}')])


@pytest.fixture
def driver() -> Driver:
    driver = Driver(holds=EntityReplica())
    driver.meet(2, 3)
    return driver


def held(driver: Driver) -> Head:
    assert driver.holds is not None
    return Head(*driver.holds.head())


def commits(driver: Driver, *bodies: bytes) -> list[Changeset]:
    return [driver.authority.commit(body) for body in bodies]


def head_of(changeset: Changeset) -> Head:
    return Head(changeset.version, changeset.digest)


def bring(driver: Driver, sender: int, changeset: Changeset) -> None:
    driver.receive_table(sender, Push(changeset, 0.0, 0))


def advance_once(driver: Driver) -> None:
    deadline = driver.core.next_deadline()
    assert deadline is not None
    driver.now = max(driver.now, deadline)
    driver.core.advance(driver.now)
    driver.effects = driver.core.effects()


def test_it_goes_in_over_many_calls_and_what_came_meanwhile_behind_it(driver: Driver) -> None:
    first, second, third = commits(driver, LARGE, small(1), small(2))
    bring(driver, 2, first)
    applied: list[Changeset] = []
    calls = 0
    while len(applied) < 3:
        assert held(driver).version < first.version
        if calls == 3:
            driver.receive(3, Push(third, 0.0, 0))
            driver.receive(3, Push(second, 0.0, 0))
            assert driver.events(ChangesetApplied) == []
        advance_once(driver)
        applied += [event.changeset for event in driver.events(ChangesetApplied)]
        calls += 1
    assert applied == [first, second, third]
    assert calls > 10
    assert held(driver) == head_of(third)


def test_it_is_told_and_given_to_others_before_it_is_served(driver: Driver) -> None:
    (first,) = commits(driver, LARGE)
    assert driver.holds is not None
    assert driver.holds.take(*first) == "preparing"
    driver.core.committed(driver.now, early=[first])
    driver.effects = driver.core.effects()
    announced = [message for _, message in driver.sent(Announce)]
    assert announced == [Announce(head_of(first))] * 2
    before = held(driver)
    assert before.version < first.version
    driver.receive(2, Request(before))
    assert driver.sent(Announce) == [(address(2), Announce(head_of(first)))]
    driver.core.stream_accepted(1, address(3), driver.now)
    driver.core.frame_received(1, packet(3, Pull(before)), driver.now)
    driver.effects = driver.core.effects()
    assert driver.done(SendFrame)
    assert [message.changeset for message in driver.framed(Push)] == [first]
    driver.pass_time(1.0)
    assert [event.hops for event in driver.events(ChangesetApplied)] == [0]
    assert held(driver) == head_of(first)


def test_one_that_can_not_be_applied_changes_nothing_and_holds_up_nothing(driver: Driver) -> None:
    poison = LARGE.replace(b'{"name":"n"}', b"not an entity", COUNT).replace(
        b"not an entity", b'{"name":"n"}', COUNT - 1
    )
    (first,) = commits(driver, poison)
    bring(driver, 2, first)
    driver.pass_time(0.5)
    assert driver.core.counters["changesets_poison"] >= 1
    assert held(driver).version < first.version
    assert replica_state(driver) == []


def replica_state(driver: Driver) -> list[bytes]:
    assert driver.holds is not None
    return driver.holds.state


def test_one_that_the_authority_has_brought_meanwhile_is_known(driver: Driver) -> None:
    first, second = commits(driver, LARGE, small(1))
    bring(driver, 2, first)
    driver.receive(3, Push(second, 0.0, 0))
    assert driver.holds is not None
    driver.holds.load([first])
    driver.pass_time(1.0)
    assert held(driver) == head_of(second)
    assert driver.core.counters["changesets_known"] == 0


def test_the_same_one_again_is_not_kept_twice(driver: Driver) -> None:
    (first,) = commits(driver, LARGE)
    bring(driver, 2, first)
    bring(driver, 3, first)
    driver.pass_time(1.0)
    assert driver.core.counters["changesets_applied"] == 1
    assert held(driver) == head_of(first)


def test_one_that_is_larger_than_the_buffer_drops_nothing_else() -> None:
    authority = LogAuthority()
    bodies = [b"1", b"\x00" * (limits.EARLY_BYTES_MAX + 1), b"3"]
    _, oversized, third = [Arrival(authority.commit(body), 1.0, None, 0, "x") for body in bodies]
    early = EarlyBuffer()
    assert early.add(third) == 0
    assert early.add(oversized) == 1
    assert third.changeset.version in early
    assert oversized.changeset.version not in early


# A cluster


class Watch:
    """Looks at what every node serves: all of the large changeset, or none of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: set[int] = set()

    def look(self) -> None:
        for node in self._world.nodes:
            many = sum(1 for line in replica_of(node).state if b"large-" in line)
            assert many in (0, COUNT), f"{many} at node {node.index}"
            self.seen.add(many)


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_takes_it_whole_under_loss_with_small_writes_behind_it(seed: int) -> None:
    rng = random.Random(seed)
    link = Link(loss=0.05, jitter=0.002)
    world = World(5, 70 + seed, link=link, new_replica=EntityReplica)
    world.form()
    for number in range(10):
        world.commit(number % 5, small(number))
    world.run(0.5)
    watch = Watch(world)
    world.commit(0, LARGE)
    dead = world.nodes[1 + rng.randrange(4)]
    for number in range(40):
        if number == 4 + seed:
            dead.crash()
        if number == 30:
            dead.start()
        writer = rng.choice([node for node in world.nodes if node.running])
        world.commit(writer.index, small(10 + number))
        world.run(0.004)
        watch.look()
    world.run_until(world.has_spread, within=30.0)
    watch.look()
    assert watch.seen == {0, COUNT}
    assert sound(world.nodes)


def test_a_writer_that_dies_amid_its_own_leaves_it_to_the_others() -> None:
    world = World(4, 90, new_replica=EntityReplica)
    world.form()
    world.commit(0, LARGE)
    world.run(0.010)
    assert replica_of(world.nodes[0]).state == [], "it is still being prepared"
    world.nodes[0].crash()
    watch = Watch(world)
    for _ in range(50):
        world.run(0.004)
        watch.look()
    world.nodes[0].start()
    world.run_until(world.has_spread, within=30.0)
    assert sound(world.nodes)
