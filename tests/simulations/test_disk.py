"""What crashes, power cuts, full disks and disks that lie leave of a node's small files."""

import random
from typing import Literal

import pytest

from gossip.identity import Identity
from gossip.keyring import KEY_BYTES, configured, install
from simulations.disk import Damaged, DiskFull, File
from simulations.operations import Crash, Damage, FillDisk, SlowDisk, Start
from simulations.world import World


def contents_after_a_crash(at: float, full: bool = False) -> set[str]:
    found = set()
    for seed in range(20):
        file = File("old", seconds=1.0)
        file.put("new", now=0.0)
        file.full = full
        file.interrupt(at, random.Random(seed))
        found.add(file.read())
    return found


def test_a_crash_in_the_middle_of_a_write_leaves_the_old_content_or_the_new() -> None:
    assert contents_after_a_crash(at=0.5) == {"old", "new"}


def test_a_write_that_is_done_survives_and_one_that_failed_leaves_the_old_content() -> None:
    assert contents_after_a_crash(at=1.0) == {"new"}
    assert contents_after_a_crash(at=1.0, full=True) == {"old"}


def test_what_changes_during_a_write_is_written_next_and_the_newest_alone() -> None:
    file = File(0, seconds=1.0)
    for content in (1, 2, 3):
        file.put(content, now=0.1 * content)
    file.settle(1.2)
    assert file.stored == 1
    file.settle(2.2)
    assert file.stored == 3


def test_a_failed_write_is_not_repeated_before_something_changes() -> None:
    file = File(0, seconds=1.0, full=True)
    file.put(1, now=0.0)
    file.settle(1.0)
    file.full = False
    file.settle(100.0)
    assert (file.stored, file.failed) == (0, 1)
    file.put(2, now=100.0)
    file.settle(101.0)
    assert file.stored == 2


def test_what_is_damaged_is_noticed_and_written_anew() -> None:
    file = File("old", damaged=True)
    with pytest.raises(Damaged):
        file.read()
    file.store("new")
    assert file.read() == "new"


def test_a_full_disk_stores_nothing() -> None:
    with pytest.raises(DiskFull):
        File("old", full=True).store("new")


def formed(nodes: int = 3, *, sealed: bool = False) -> World:
    world = World(nodes, seed=3, keyring=configured(b"k" * KEY_BYTES) if sealed else None)
    world.form()
    world.run(2.0)
    return world


def test_a_generation_is_stored_before_the_first_packet_whenever_the_process_dies() -> None:
    world = formed()
    node = world.nodes[2]
    for life in range(2, 10):
        node.crash()
        node.start()
        assert node.generation == life == node.disk.identity.stored.generation


def test_a_generation_that_was_only_heard_of_may_be_lost_by_a_crash() -> None:
    world = formed()
    node = world.nodes[2]
    for _ in range(3):
        node.crash()
        node.start()
        world.run(1.0)
    node.crash()
    node.disk.say(node.id, 0)
    SlowDisk(2, seconds=60.0)(world)
    node.start()
    world.run_until(lambda: node.generation == 5, within=10.0)
    node.crash()
    assert node.disk.identity.stored.generation in (1, 5)
    SlowDisk(2, seconds=0.0)(world)
    node.start()
    world.run_until(world.is_whole, within=10.0)
    node.disk.identity.settle(world.now + 1.0)
    assert node.disk.identity.stored.generation == node.generation >= 6


@pytest.mark.parametrize("file", ["identity", "keyring", "peers"])
def test_a_node_with_a_damaged_file_takes_part_again(
    file: Literal["identity", "keyring", "peers"],
) -> None:
    world = formed(sealed=True)
    node = world.nodes[2]
    former = node.id
    Crash(2)(world)
    Damage(2, file)(world)
    Start(2)(world)
    assert (node.id != former) == (file == "identity"), "a damaged identity is removed: a new node"
    world.run_until(world.is_whole, within=30.0)


def test_a_damaged_keyring_is_fetched_where_it_is_kept() -> None:
    world = formed(sealed=True)
    node = world.nodes[2]
    Crash(2)(world)
    kept = world.keyring
    assert kept is not None
    by = Identity(world.nodes[0].id, 1, 1)
    world.keyring = install(kept, b"n" * KEY_BYTES, by)
    world.nodes[0].application.offer_keyring(world.keyring)
    world.run(2.0)
    Damage(2, "keyring")(world)
    Start(2)(world)
    assert node.core.keyring == kept, "what its configuration names"
    world.run_until(lambda: node.core.keyring == world.keyring, within=40.0)


def test_a_process_whose_generation_cannot_be_stored_ends_and_is_started_again() -> None:
    world = formed()
    FillDisk(2)(world)
    Crash(2)(world)
    Start(2)(world)
    world.run(10.0)
    assert not world.nodes[2].running
    FillDisk(2, full=False)(world)
    world.run(2.0)
    assert world.nodes[2].running
    assert world.nodes[2].generation == 2
