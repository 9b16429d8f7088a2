"""The list of peers: who ran where, and when last."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gossip.address import Address
from node.agent.limits import PEERS_KEPT_MAX, PEERS_KEPT_MIN, PEERS_KEPT_SECONDS
from node.agent.peers import Peers

DAY = 86_400.0


class World:
    """A prefix, a wall clock, and who runs."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.now = 1_000_000_000.0
        self.running: Sequence[Address] = ()

    def peers(self) -> Peers:
        """Those of one process life."""
        return Peers(self.prefix, lambda: self.running, lambda: self.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def at(number: int) -> Address:
    return f"10.0.{number // 256}.{number % 256}", 8005


async def saw(world: World, peers: Peers, *numbers: int) -> None:
    world.running = [at(number) for number in numbers]
    peers.changed()
    await peers.finish()


async def test_who_ran_is_known_after_a_restart_the_latest_first(world: World) -> None:
    peers = world.peers()
    world.running = [("::1", 8105)]
    peers.changed()
    world.now += DAY
    await saw(world, peers, 2)
    world.now += 3 * DAY
    await saw(world, peers, 3)
    assert world.peers().known() == [at(3), at(2), ("::1", 8105)]


async def test_who_ran_until_now_was_seen_now_however_long_it_had_run(world: World) -> None:
    peers = world.peers()
    await saw(world, peers, 2, 3)
    world.now += 30 * DAY
    await saw(world, peers, 3)
    world.now += 6 * DAY
    assert at(2) in world.peers().known()


async def test_a_week_after_it_was_seen_last_an_address_goes(world: World) -> None:
    peers = world.peers()
    await saw(world, peers, 1)
    await saw(world, peers)
    world.now += PEERS_KEPT_SECONDS + 1
    await saw(world, peers, *range(2, 2 + PEERS_KEPT_MIN))
    assert at(1) not in world.peers().known()


async def test_some_stay_after_an_outage_of_any_length(world: World) -> None:
    await saw(world, world.peers(), *range(100))
    world.now += 365 * DAY
    assert len(world.peers().known()) == PEERS_KEPT_MIN


async def test_a_clock_that_was_ahead_keeps_nobody_for_ever(world: World) -> None:
    peers = world.peers()
    await saw(world, peers, 1)
    await saw(world, peers)
    world.now -= 400 * DAY
    peers = world.peers()
    await saw(world, peers, *range(2, 2 + PEERS_KEPT_MIN))
    world.now += PEERS_KEPT_SECONDS + 1
    await saw(world, peers, *range(2, 2 + PEERS_KEPT_MIN))
    assert at(1) not in world.peers().known()


async def test_the_list_is_bounded(world: World) -> None:
    await saw(world, world.peers(), *range(PEERS_KEPT_MAX + 50))
    assert len(world.peers().known()) == PEERS_KEPT_MAX


def test_a_list_of_an_earlier_version_is_read(world: World) -> None:
    (world.prefix / "peers.json").write_text('{"peers": ["10.0.0.2:8005", "[::1]:8105"]}')
    assert world.peers().known() == [at(2), ("::1", 8105)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"peers": 7}',
        '{"peers": [7]}',
        '{"peers": ["gw1"]}',
        '{"peers": [{"address": "10.0.0.2:8005"}]}',
        '{"peers": [{"address": "10.0.0.2:8005", "seen": "noon"}]}',
        json.dumps({"peers": {"address": "10.0.0.2:8005"}}),
    ],
)
def test_a_damaged_list_is_none(world: World, content: str) -> None:
    (world.prefix / "peers.json").write_text(content)
    assert world.peers().known() == []
