"""Who probes what: several nodes in virtual time, whose words arrive after a moment."""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.agent.health import limits
from node.agent.health.probing import Probing, probers
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result, State
from node.proxy.health.judgement import Judgement
from node.proxy.health.settings import Active, CheckedUpstreams
from tests.proxy.health.upstreams import active, address, target, upstream

STEP = 0.05
LATENCY = 0.01
A, B = address(1), address(2)


class OneNode:
    """Its probing, its judgement, and its words on their way to the others."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.upstreams = CheckedUpstreams()
        self.judgement = Judgement(self.upstreams)
        self.probing = Probing(
            lambda: name, lambda: world.alive, self.active, self.judgement, world.rng
        )
        self.sees: Callable[[TargetAddress], Result] = lambda which: (
            Result.TCP_FAILURE if which in world.dead else Result.SUCCESS
        )
        self.mute = False
        self.words_at = world.rng.random() * limits.WORDS_SECONDS
        self.joined = world.now
        for change in (upstream(world.checks), target(1), target(2)):
            self.upstreams.apply(*change)
        for which in (A, B):
            self.probing.watch(which, world.now)

    def active(self, upstream_id: str) -> Active | None:
        return self.upstreams.checked[upstream_id].active

    def available(self, which: TargetAddress) -> bool:
        return which not in self.judgement.out

    def advance(self) -> None:
        now = self.world.now
        for which in list(self.probing.due(now)):
            self.world.probes.append((now, self.name, which))
            result, was = self.sees(which), self.available(which)
            checks = self.active(which.upstream_id)
            assert checks is not None
            if self.judgement.count(which, result, checks.limits):
                self.changed(which, was)
            self.probing.probed(which, result, now)
        if now >= self.words_at:
            self.words_at = now + limits.WORDS_SECONDS
            for which in self.probing.words(now):
                self.say(which, self.available(which))

    def changed(self, which: TargetAddress, was: bool) -> None:
        self.probing.plan(which, self.world.now)
        if self.available(which) != was and self.probing.tells(which):
            self.say(which, self.available(which))

    def say(self, which: TargetAddress, available: bool) -> None:
        if not self.mute:
            self.world.say(self.name, which, available)

    def hear(self, by: str, which: TargetAddress, available: bool) -> None:
        was = self.available(which)
        state = self.probing.heard(which, by, available, self.world.now)
        if state is not None and self.judgement.settle(which, state):
            self.changed(which, was)

    def found_by_requests(self, which: TargetAddress) -> None:
        """Passive checks have taken it out here."""
        self.judgement.settle(which, State.UNHEALTHY)
        self.changed(which, True)


class World:
    def __init__(
        self,
        count: int,
        *,
        interval: float = 1.0,
        times: int = 1,
        healthy_interval: float | None = None,
    ) -> None:
        self.rng = random.Random(1)
        self.now = 1000.0
        self.checks = active(interval, times, healthy_interval)
        self.dead: set[TargetAddress] = set()
        self.probes: list[tuple[float, str, TargetAddress]] = []
        self.alive: Sequence[str] = [f"n{number}" for number in range(count)]
        self._numbers = itertools.count()
        self._flying: list[tuple[float, int, str, TargetAddress, bool]] = []
        self.nodes = {name: OneNode(self, name) for name in self.alive}

    def say(self, by: str, which: TargetAddress, available: bool) -> None:
        entry = (self.now + LATENCY, next(self._numbers), by, which, available)
        heapq.heappush(self._flying, entry)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += STEP
            while self._flying and self._flying[0][0] <= self.now:
                _, _, by, which, available = heapq.heappop(self._flying)
                for name in self.alive:
                    if name != by:
                        self.nodes[name].hear(by, which, available)
            for name in self.alive:
                self.nodes[name].advance()

    def probers_of(self, which: TargetAddress, since: float = 0.0) -> set[str]:
        return {name for at, name, probed in self.probes if probed == which and at >= since}

    def assigned(self, which: TargetAddress = A) -> list[str]:
        return probers(which, self.alive)

    def others(self, which: TargetAddress = A) -> list[str]:
        return [name for name in self.alive if name not in self.assigned(which)]

    def agree(self, which: TargetAddress, available: bool) -> bool:
        return all(self.nodes[name].available(which) == available for name in self.alive)


def test_an_address_is_probed_by_few_however_many_nodes_there_are() -> None:
    for count in (1, 2, 3, 10):
        world = World(count)
        world.run(60.0)
        for which in (A, B):
            assert world.probers_of(which) == set(world.assigned(which))
        each = 60.0 * min(count, limits.PROBERS)
        assert len(world.probes) == pytest.approx(2 * each, rel=0.1)


def test_addresses_are_spread_evenly_and_only_a_lost_nodes_share_moves() -> None:
    names = [f"n{number}" for number in range(10)]
    before = {number: set(probers(address(number), names)) for number in range(1, 200)}
    shares = Counter(name for those in before.values() for name in those)
    assert max(shares.values()) < 2 * min(shares.values())
    for number, those in before.items():
        after = set(probers(address(number), names[1:]))
        assert those - {names[0]} <= after


@given(st.lists(st.frozensets(st.integers(0, 8)), max_size=8))
def test_whoever_comes_and_goes_in_whatever_order_all_agree_on_who_probes(
    lives: list[frozenset[int]],
) -> None:
    world = World(1)
    node = world.nodes["n0"]
    for others in lives:
        world.alive = tuple(sorted({"n0", *(f"n{number}" for number in others)}))
        for which in (A, B):
            assert node.probing.tells(which) == ("n0" in world.assigned(which))


def test_all_nodes_learn_soon_after_one_prober_has_found_a_target_dead_and_back() -> None:
    world = World(8, interval=5.0, times=3)
    world.run(20.0)
    world.dead.add(A)
    began = world.now
    while not world.agree(A, False):
        world.run(STEP)
        assert world.now - began < 3 * 5.0 * 1.2 + 1.0
    assert world.probers_of(A) == set(world.assigned(A)), "the others took their word"
    world.dead.clear()
    began = world.now
    while not world.agree(A, True):
        world.run(STEP)
        assert world.now - began < 3 * 5.0 * 1.2 + 1.0
    assert world.probers_of(A) == set(world.assigned(A))


def test_a_prober_confirms_what_another_has_found_within_half_a_second() -> None:
    world = World(5, interval=60.0, times=3)
    first, second = world.assigned()
    world.run(100.0)
    world.dead.add(A)
    world.nodes[first].judgement.settle(A, State.UNHEALTHY)
    world.nodes[first].changed(A, True)
    world.run(0.5)
    assert not world.nodes[second].available(A)
    assert world.agree(A, False)


def test_a_prober_that_sees_it_otherwise_is_not_believed_before_others_have_looked() -> None:
    world = World(6)
    world.run(10.0)
    liar = world.assigned()[0]
    world.nodes[liar].sees = lambda which: Result.TCP_FAILURE
    began = world.now
    world.run(10.0)
    assert not world.nodes[liar].available(A)
    for name in world.alive:
        if name != liar:
            assert world.nodes[name].available(A)
    assert world.probers_of(A, began) == set(world.alive), "they looked for themselves"


def test_words_alone_never_take_out_the_last_target() -> None:
    world = World(6)
    world.run(10.0)
    for name in world.assigned(A):
        world.nodes[name].sees = lambda which: Result.TCP_FAILURE
    for name in world.assigned(B):
        world.nodes[name].sees = lambda which: Result.TCP_FAILURE
    world.run(10.0)
    believers = set(world.alive) - set(world.assigned(A)) - set(world.assigned(B))
    assert believers
    for name in believers:
        node = world.nodes[name]
        assert node.available(A) or node.available(B)


def test_when_all_is_dead_every_node_finds_out_by_itself() -> None:
    world = World(6)
    world.run(10.0)
    world.dead |= {A, B}
    world.run(10.0)
    assert world.agree(A, False)
    assert world.agree(B, False)
    world.dead.clear()
    world.run(15.0)
    assert world.agree(A, True)
    assert world.agree(B, True)


def test_a_node_that_hears_nothing_of_the_probers_probes_by_itself() -> None:
    world = World(4)
    for name in world.assigned():
        world.nodes[name].mute = True
    world.run(limits.WORDS_SECONDS * limits.WORDS_MISSED_MAX - 1.0)
    assert world.probers_of(A) == set(world.assigned())
    world.run(5.0)
    assert world.probers_of(A) == set(world.alive)


def test_when_a_prober_dies_another_node_takes_over_at_once() -> None:
    world = World(5)
    world.run(10.0)
    lost = world.assigned()[0]
    world.alive = [name for name in world.alive if name != lost]
    began = world.now
    world.run(4.0)
    assert world.probers_of(A, began) == set(world.assigned())


def test_a_node_whose_own_requests_fail_probes_by_itself_until_it_is_well_again() -> None:
    world = World(6, times=2)
    world.run(10.0)
    name = world.others()[0]
    began = world.now
    world.nodes[name].found_by_requests(A)
    world.run(6.0)
    assert world.nodes[name].available(A)
    assert name in world.probers_of(A, began)
    began = world.now
    world.run(20.0)
    assert name not in world.probers_of(A, began)
    assert world.agree(A, True)


def test_what_others_say_who_do_not_probe_it_counts_nothing() -> None:
    world = World(6)
    world.run(10.0)
    stranger, node = world.others()[0], world.nodes[world.others()[1]]
    node.hear(stranger, A, False)
    node.hear("unknown", A, False)
    assert node.available(A)


def test_without_an_interval_nothing_is_probed_in_that_state() -> None:
    world = World(5, healthy_interval=0.0)
    world.run(limits.WORDS_SECONDS * limits.WORDS_MISSED_MAX)
    assert world.probes == []
    name = world.others()[0]
    world.nodes[name].found_by_requests(A)
    world.run(3.0)
    assert world.nodes[name].available(A)
    assert world.probers_of(A) == {name}


def test_what_is_watched_is_bounded() -> None:
    world = World(1)
    probing = world.nodes["n0"].probing
    room = limits.ADDRESSES_MAX - len(probing)
    taken = [probing.watch(address(3, port=1 + number), 0.0) for number in range(room + 1)]
    assert taken == [True] * room + [False]
