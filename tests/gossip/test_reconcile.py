"""Replicas that repair themselves from peers: clusters in virtual time, with real replicas."""

import itertools
from collections.abc import Sequence

import pytest

from gossip import limits
from gossip.events import Behind, SnapshotFailed, SnapshotInstalled
from gossip.identity import NOBODY, wire_id
from gossip.messages.changes import Push
from gossip.profiles import LAN
from gossip.replica import Changeset, Head
from gossip.wire import CLEAR, cluster_digest, encode_header, encode_parts
from simulations.authority import EntityReplica, chain
from simulations.authority.entities import body_of, random_body
from simulations.links import Link
from simulations.node import Node
from simulations.world import World

ENTITIES = 400


def replica_of(node: Node) -> EntityReplica:
    assert isinstance(node.replica, EntityReplica)
    return node.replica


def world_with_entities(nodes: int, seed: int, link: Link | None = None) -> World:
    """A cluster at rest, in which all hold the same entities; the authority is away."""
    world = World(nodes, seed, link=link, new_replica=EntityReplica)
    world.form()
    first = [("services", f"{number:08d}", '{"name":"n"}') for number in range(ENTITIES)]
    world.commit(0, body_of(first))
    world.run_until(world.has_spread, within=10.0)
    world.authority.available = False
    return world


def fall_behind(world: World, node: Node, changesets: int, entities: int = ENTITIES) -> None:
    """Let a node miss more than others' logs hold."""
    node.crash()
    others = [other for other in world.nodes if other is not node]
    for other in others:
        other.replica.keep_log(5)
    for number in range(changesets):
        index = others[number % len(others)].index
        world.commit(index, random_body(world.rng, entities))
        world.run(0.005)
    world.run_until(lambda: alike(others), within=10.0)


def alike(nodes: Sequence[Node]) -> bool:
    """Whether they all hold the same at the same head, and it is what their hashes say."""
    replicas = [replica_of(node) for node in nodes]
    head = replicas[0].head()
    state_hash = replicas[0].state_hash(head[0])
    return all(
        replica.head() == head and replica.state_hash(head[0]) == state_hash for replica in replicas
    )


def sound(nodes: Sequence[Node]) -> bool:
    return alike(nodes) and all(replica_of(node).is_sound() for node in nodes)


def events(world: World, node: Node, kind: type) -> list[object]:
    return [
        seen.event
        for seen in world.observed
        if seen.node == node.index and isinstance(seen.event, kind)
    ]


@pytest.mark.parametrize("link", [None, Link(loss=0.05, jitter=0.001)], ids=["clean", "lossy"])
def test_who_missed_more_than_logs_hold_gets_what_differs(link: Link | None) -> None:
    world = world_with_entities(3, 41, link)
    away = world.nodes[2]
    fall_behind(world, away, 20)
    away.start()
    world.run_until(lambda: alike(world.nodes), within=20.0)
    assert sound(world.nodes)
    assert away.core.counters["reconciles_installed"] == 1
    assert away.core.counters["slices_in"] == 0, "no whole state was taken"
    assert events(world, away, Behind)


def test_who_holds_nothing_takes_the_whole() -> None:
    world = world_with_entities(3, 42)
    new = world.nodes[2]
    fall_behind(world, new, 20)
    new.erase()
    new.start()
    world.run_until(lambda: alike(world.nodes), within=20.0)
    assert new.core.counters["reconciles_asked"] == 0
    assert new.core.counters["snapshots_installed"] == 1


def test_who_lacks_most_takes_the_whole() -> None:
    world = world_with_entities(3, 43)
    away = world.nodes[2]
    away.crash()
    many = [("routes", f"{number:08d}", "{}") for number in range(2_000)]
    for other in world.nodes[:2]:
        other.replica.keep_log(1)
    world.commit(0, body_of(many))
    world.commit(0, body_of(many[:1]))
    world.run(1.0)
    away.start()
    world.run_until(lambda: alike(world.nodes), within=20.0)
    assert away.core.counters["reconciles_large"] == 1
    assert away.core.counters["snapshots_installed"] == 1


def test_changes_that_come_meanwhile_follow() -> None:
    world = world_with_entities(3, 44)
    away = world.nodes[2]
    fall_behind(world, away, 20)
    for other in world.nodes[:2]:
        other.replica.keep_log(10_000)
    away.start()
    for _ in range(50):
        world.commit(0, random_body(world.rng, ENTITIES))
        world.run(0.01)
    world.run_until(lambda: alike(world.nodes), within=20.0)
    assert sound(world.nodes)


def in_the_middle(world: World, away: Node) -> Node:
    """Start a node that has fallen behind; who answers it, once it has had a first answer."""
    away.start()
    world.run_until(lambda: away.core.counters["reconcile_bytes_in"] > 26, within=20.0)
    others = [node for node in world.nodes if node is not away]
    (source,) = (node for node in others if node.core.counters["reconciles_answered"])
    return source


def test_a_peer_that_dies_in_the_middle_is_followed_by_another_from_there_on() -> None:
    world = world_with_entities(3, 45)
    away = world.nodes[2]
    fall_behind(world, away, 60)
    source = in_the_middle(world, away)
    counters = away.core.counters
    source.crash()
    rest = [node for node in world.nodes if node is not source]
    world.run_until(lambda: alike(rest), within=20.0)
    assert sound(rest)
    assert counters["reconciles_resumed"] == 1
    assert counters["reconciles_asked"] == 1


def test_a_peer_that_is_cut_off_in_the_middle_is_followed_by_another() -> None:
    world = world_with_entities(3, 46)
    away = world.nodes[2]
    fall_behind(world, away, 60)
    source = in_the_middle(world, away)
    counters = away.core.counters
    world.network.partition([source.index], [away.index])
    other = [node for node in world.nodes if node is not source]
    world.run_until(lambda: alike(other), within=LAN.slice_timeout + 10.0)
    assert counters["reconciles_silent"] == 1


def test_when_nobody_has_that_state_any_more_another_is_asked_for() -> None:
    world = world_with_entities(4, 47)
    away = world.nodes[3]
    fall_behind(world, away, 60)
    source = in_the_middle(world, away)
    rest = [node for node in world.nodes if node is not source]
    for _ in range(6):
        world.commit(rest[0].index, random_body(world.rng, ENTITIES))
    source.crash()
    world.run_until(lambda: alike(rest), within=30.0)
    assert sound(rest)


def test_a_damaged_source_is_left_for_another() -> None:
    for seed in range(50, 54):
        world = world_with_entities(3, seed)
        away, damaged = world.nodes[2], world.nodes[1]
        fall_behind(world, away, 20)
        replica_of(damaged).damage(world.rng)
        away.start()
        well = [world.nodes[0], away]
        world.run_until(lambda: alike(well), within=20.0)  # noqa: B023
        assert sound(well)
        if away.core.counters["reconciles_corrupt"]:
            return
    raise AssertionError("it was never asked")


@pytest.mark.parametrize("nodes", [3, 5])
def test_who_has_misapplied_a_change_finds_it_and_is_renewed(nodes: int) -> None:
    world = world_with_entities(nodes, 48)
    damaged = world.nodes[1]
    assert replica_of(damaged).misapply(world.rng)
    assert replica_of(damaged).is_sound(), "its own hash agrees with it"
    before = damaged.replica.head()
    took = world.run_until(lambda: alike(world.nodes), within=60.0)
    assert took < 10.0
    assert sound(world.nodes)
    assert damaged.replica.head() == before, "at its own version"
    assert damaged.core.counters["states_outvoted"] == 1
    others = [node for node in world.nodes if node is not damaged]
    assert all(node.core.counters["states_outvoted"] == 0 for node in others)


def test_of_two_nobody_knows_who_is_damaged_until_the_authority_says_so() -> None:
    world = world_with_entities(2, 49)
    damaged = world.nodes[1]
    replica_of(damaged).misapply(world.rng)
    world.run(20.0)
    assert not alike(world.nodes)
    assert damaged.core.counters["states_undecided"] > 0
    assert events(world, damaged, SnapshotInstalled) == []
    world.authority.available = True
    world.run_until(lambda: alike(world.nodes), within=2 * limits.DAMAGE_REST_SECONDS)
    assert replica_of(world.nodes[0]).state == replica_of(damaged).state


def test_a_damaged_replica_serves_on_and_is_renewed_while_changes_come() -> None:
    world = world_with_entities(3, 57)
    damaged = world.nodes[1]
    replica_of(damaged).misapply(world.rng)
    for number in range(200):
        world.commit(number % 3, random_body(world.rng, ENTITIES))
        world.run(0.05)
    world.run_until(lambda: alike(world.nodes), within=60.0)
    assert sound(world.nodes)
    assert damaged.core.counters["states_outvoted"] >= 1


def test_when_asked_to_it_renews_itself_at_its_own_version() -> None:
    """An audit has found it: no member's heartbeat says so."""
    world = world_with_entities(3, 56)
    damaged = world.nodes[1]
    assert replica_of(damaged).damage(world.rng)
    head = damaged.replica.head()
    assert not damaged.core.fetch_snapshot(damaged.now()), "nobody is above it"
    assert damaged.core.fetch_snapshot(damaged.now(), damaged=True)
    damaged.flush()
    world.run_until(lambda: sound(world.nodes), within=5.0)
    assert damaged.replica.head() == head
    assert events(world, damaged, SnapshotInstalled) == [SnapshotInstalled(head)]  # type: ignore[arg-type]


def test_without_a_peer_that_can_help_it_says_so() -> None:
    world = world_with_entities(2, 57)
    world.run(5.0)
    damaged, other = world.nodes
    assert replica_of(damaged).damage(world.rng)
    assert replica_of(other).damage(world.rng)
    assert damaged.core.fetch_snapshot(damaged.now(), damaged=True)
    damaged.flush()
    world.run_until(lambda: bool(events(world, damaged, SnapshotFailed)), within=20.0)
    assert events(world, damaged, SnapshotFailed) == [SnapshotFailed("corrupt")]
    assert damaged.core.counters["reconciles_corrupt"] == 1


def test_pins_are_let_go_of() -> None:
    world = world_with_entities(3, 58)
    away = world.nodes[2]
    fall_behind(world, away, 20)
    away.start()
    world.run_until(lambda: alike(world.nodes), within=20.0)
    pins = [node.core._transfer.pins for node in world.nodes]
    assert sum(map(len, pins)) == 1
    world.run(limits.PIN_SECONDS + 1.0)
    assert sum(map(len, pins)) == 0


def test_what_was_pinned_of_a_damaged_state_is_not_given_once_it_is_renewed() -> None:
    world = world_with_entities(3, 65)
    damaged = world.nodes[1]
    replica_of(damaged).misapply(world.rng)
    head = Head(*damaged.replica.head())
    pins = damaged.core._transfer.pins
    wrong = pins.get(head, damaged.now())
    assert wrong is not None
    world.run_until(lambda: alike(world.nodes), within=10.0)
    fresh = pins.get(head, damaged.now())
    assert fresh is not None
    assert fresh.giving.state_hash != wrong.giving.state_hash


def test_more_askers_than_may_ask_at_once_are_all_served() -> None:
    world = world_with_entities(8, 59)
    away = world.nodes[1:]
    for node in away:
        node.crash()
    world.nodes[0].replica.keep_log(5)
    for _ in range(20):
        world.commit(0, random_body(world.rng, ENTITIES))
        world.run(0.005)
    for node in away:
        node.start()
    world.run_until(lambda: alike(world.nodes), within=60.0)
    assert world.nodes[0].core.counters["reconciles_declined"] > 0


# A changeset that one node can't apply


def poison(world: World, node: Node, *, after: int = 1) -> None:
    """Let the next version but one be one that this node's software can't apply."""
    epoch, tag, revision = node.replica.head()[0]
    replica_of(node).refuses = (epoch, tag, revision + after)


def test_a_changeset_that_one_node_can_not_apply_stops_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_with_entities(3, 60)
    sick, others = world.nodes[1], [world.nodes[0], world.nodes[2]]
    monkeypatch.setattr(sick.core, "fetch_snapshot", lambda now, damaged=False: False)
    before = replica_of(sick).state
    poison(world, sick)
    for number in range(20):
        world.commit(2 * (number % 2), random_body(world.rng, ENTITIES))
        world.run(0.01)
    assert alike(others)
    assert replica_of(sick).state == before, "it serves its last good state"
    told = [event.reason for event in events(world, sick, Behind) if isinstance(event, Behind)]
    assert told == ["poison"]


def test_it_comes_to_the_others_state_as_soon_as_that_helps() -> None:
    """Its changesets can't be applied, but the state that they lead to can be taken."""
    world = world_with_entities(3, 61)
    sick = world.nodes[1]
    poison(world, sick)
    world.commit(0, random_body(world.rng, ENTITIES))
    world.run_until(lambda: alike(world.nodes), within=10.0)
    assert sound(world.nodes)
    world.commit(0, random_body(world.rng, ENTITIES))
    world.run_until(lambda: alike(world.nodes), within=1.0)


def test_what_nothing_helps_against_is_tried_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_with_entities(3, 62)
    sick = world.nodes[1]
    monkeypatch.setattr(sick.core, "fetch_snapshot", lambda now, damaged=False: False)
    poison(world, sick)
    world.commit(0, random_body(world.rng, ENTITIES))
    world.run(600.0)
    times = [
        seen.at
        for seen in world.observed
        if seen.node == sick.index and isinstance(seen.event, Behind)
    ]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 2.0 < pauses[0] < 5.0
    assert 10 < len(times) < 25
    assert pauses[-1] > limits.POISON_REST_SECONDS_MAX / 3
    assert sick.core.counters["changesets_poison"] <= 3 * len(times)
    replica_of(sick).refuses = None
    world.run_until(lambda: alike(world.nodes), within=limits.POISON_REST_SECONDS_MAX + 5.0)


def test_an_own_commit_that_can_not_be_applied_here_reaches_the_others() -> None:
    world = world_with_entities(3, 63)
    sick, others = world.nodes[1], [world.nodes[0], world.nodes[2]]
    poison(world, sick)
    before = sick.replica.head()
    world.commit(sick.index, random_body(world.rng, ENTITIES))
    world.run_until(lambda: alike(others) and others[0].replica.head() != before, within=1.0)
    world.run_until(lambda: alike(world.nodes), within=10.0)


def test_a_changeset_that_one_peer_made_up_does_not_keep_the_real_one_away() -> None:
    """It fits the chain, and can't be applied; but nobody else has it."""
    world = world_with_entities(3, 64)
    liar, victim, honest = world.nodes
    version, digest = victim.replica.head()
    body = b"made up"
    forged = Changeset((*version[:2], version[2] + 1), digest, chain(digest, body), body)
    world.network.cut([honest.index], [victim.index], ["udp"])
    world.commit(honest.index, random_body(world.rng, ENTITIES))
    victim.core.datagram_received(packet_of(liar, Push(forged, 0.0, 0)), liar.address, victim.now())
    victim.flush()
    assert victim.core.counters["changesets_poison"] == 1
    world.network.heal()
    world.run_until(lambda: alike(world.nodes), within=5.0)


def packet_of(sender: Node, message: Push) -> bytes:
    """What a node puts on the wire."""
    header = encode_header(CLEAR, cluster_digest(sender.cluster), wire_id(sender.id), NOBODY)
    return header + encode_parts([message])
