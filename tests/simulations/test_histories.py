"""Clusters whose authority lies: one history is followed, whatever nodes do meanwhile."""

from collections.abc import Callable

import pytest

from simulations.authority.log import LogAuthority
from simulations.links import Link
from simulations.node import Node
from simulations.world import World
from store.history import Server
from tests.rings import first_few

PRIMARY, STANDBY = Server("db-1", 1), Server("db-2", 2)
LOSSY = Link(loss=0.05, duplication=0.05, jitter=0.002)
SEEDS = [1, 2, 3, 4, 5, 6]


def formed(nodes: int, seed: int, commits: int = 5) -> World:
    world = World(nodes, seed, link=LOSSY, skewed=True)
    world.form()
    world.poll_in_turn()
    for number in range(commits):
        world.commit(number % nodes, b"before %d" % number)
    world.run_until(world.has_spread, within=30.0)
    return world


def epochs(world: World) -> list[int]:
    return [node.replica.head()[0][0] for node in world.nodes]


def settled(world: World, epoch: int) -> Callable[[], bool]:
    """Whether all serve the authority's head, at this epoch."""
    return lambda: world.has_spread() and set(epochs(world)) == {epoch}


def split_seen(nodes: list[Node], *, refuses: bool) -> Callable[[], bool]:
    def seen() -> bool:
        splits = [node.application.history.split for node in nodes]
        return all(split is not None and split.refuses is refuses for split in splits)

    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_failover_that_lost_commits_all_follow_what_is_left(seed: int) -> None:
    world = formed(5, seed)
    world.authority.lose(2, STANDBY)
    world.run_until(settled(world, 2), within=60.0)
    assert world.authority.raises == 1
    assert world.commit(3, b"after").version[0] == 2
    world.run_until(settled(world, 2), within=30.0)
    assert all(node.replica.state == world.authority.state() for node in world.nodes)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_write_finds_the_loss_as_soon_as_a_poll_would(seed: int) -> None:
    world = formed(5, seed)
    world.authority.lose(2, STANDBY)
    writer = world.nodes[2]
    world.run_until(lambda: writer.application.write(b"x") is not None, within=5.0)
    assert writer.replica.head() == world.authority.head()
    world.run_until(settled(world, 2), within=60.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_backup_is_found_by_nodes_that_were_restarted(seed: int) -> None:
    world = formed(4, seed)
    for node in world.nodes:
        node.crash()
    world.authority.lose(3)
    for node in world.nodes:
        node.start()
    world.run_until(settled(world, 2), within=60.0)
    assert world.authority.raises == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_revisions_that_a_newcomer_has_used_again_are_found(seed: int) -> None:
    world = formed(4, seed)
    for node in world.nodes:
        node.crash()
    world.authority.lose(3)
    newcomer = world.add_node()
    newcomer.start()
    world.run(3.0)
    for number in range(5):
        assert newcomer.application.write(b"other %d" % number) is not None
    for node in world.nodes[:4]:
        node.start()
    world.run_until(settled(world, 2), within=60.0)
    assert b"other 4" in newcomer.replica.state


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trimmed_log_proves_nothing(seed: int) -> None:
    world = formed(4, seed)
    away = world.nodes[3]
    away.crash()
    for number in range(20):
        world.commit(0, b"more %d" % number)
    world.authority.trimmed = 24
    away.start()
    world.run_until(world.has_spread, within=60.0)
    world.run(30.0)
    assert set(epochs(world)) == {1}
    assert world.authority.raises == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_with_the_authority_away_an_epoch_comes_by_gossip(seed: int) -> None:
    world = formed(4, seed)
    reached = world.authority.twin(STANDBY)
    reached.lose(2)
    world.authority.available = False
    world.databases = {0: reached, 1: reached}
    world.run_until(lambda: set(epochs(world)) == {2}, within=60.0)
    assert reached.raises == 1


def parted(seed: int) -> tuple[World, LogAuthority, list[Node], list[Node]]:
    """Two servers take writes; three nodes reach the one, three the other, all gossip together."""
    world = formed(6, seed)
    promoted = world.authority.twin(STANDBY)
    world.databases = dict.fromkeys(range(3, 6), promoted)
    return world, promoted, world.nodes[:3], world.nodes[3:]


@pytest.mark.parametrize("seed", first_few(SEEDS, 2))
@pytest.mark.parametrize("first", [0, 5], ids=["old", "promoted"])
def test_of_two_servers_at_once_exactly_one_goes_on_taking_writes(seed: int, first: int) -> None:
    world, promoted, old, new = parted(seed)
    assert world.nodes[first].application.write(b"first") is not None
    world.run_until(split_seen(old, refuses=True), within=60.0)
    world.run_until(split_seen(new, refuses=False), within=60.0)
    for node in new:
        assert node.application.write(b"new") is not None
    for _ in range(60):
        world.run(1.0)
        assert all(node.application.write(b"never") is None for node in old)
        assert new[0].application.write(b"on") is not None
    world.run(30.0)
    assert world.authority.raises == 0
    assert promoted.raises <= 1, "there is no duel"
    assert all(node.replica.head() == promoted.head() for node in new)
    assert all(node.running for node in world.nodes)


@pytest.mark.parametrize("seed", SEEDS)
def test_when_the_other_server_is_gone_all_go_on_with_the_one_that_is_left(seed: int) -> None:
    world, promoted, old, _ = parted(seed)
    old[0].application.write(b"first")
    world.run_until(split_seen(old, refuses=True), within=60.0)
    promoted.lose(0)
    world.authority, world.databases = promoted, {}
    world.run_until(world.has_spread, within=60.0)
    world.run_until(
        lambda: not any(node.application.history.split for node in world.nodes), within=60.0
    )
    for node in world.nodes:
        assert node.application.write(b"all") is not None
    world.run_until(world.has_spread, within=30.0)
    assert promoted.raises == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_side_that_an_operator_keeps_goes_on(seed: int) -> None:
    world, promoted, old, new = parted(seed)
    old[0].application.write(b"first")
    world.run_until(split_seen(old, refuses=True), within=60.0)
    old[1].application.history.adopt()
    world.run_until(split_seen(new, refuses=True), within=60.0)
    world.run_until(split_seen(old, refuses=False), within=60.0)
    assert old[2].application.write(b"kept") is not None
    assert new[0].application.write(b"never") is None
    world.databases = {}
    promoted.available = False
    world.run_until(settled(world, 2), within=60.0)
    assert world.authority.raises == 1
