"""The demo's keys, on nodes that are only played."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.demo.cluster import LocalCluster, LocalNode, NodeFailed
from node.demo.controls import Controls


class PlayedNode(LocalNode):
    """A node without a process."""

    up = True
    fails = ""
    cut_from: frozenset[str] = frozenset()

    @property
    def running(self) -> bool:
        return self.up

    async def kill(self) -> None:
        self.up = False

    async def start(self) -> None:
        self.up = True

    async def until_ready(self, session: object) -> None:
        if self.fails:
            raise NodeFailed(self.fails)

    def cut(self, others: Any) -> None:
        self.cut_from = frozenset(node.name for node in others)


class Played:
    """A cluster of such nodes and its controls."""

    def __init__(self, home: Path, nodes: int) -> None:
        self.cluster = LocalCluster(home, nodes, 8000)
        self.nodes = [PlayedNode(home, node.number, node.ports) for node in self.cluster.nodes]
        self.cluster.nodes = list(self.nodes)
        self.controls = Controls(self.cluster)

    async def press(self, *keys: str) -> str:
        """Press them, each once the one before is done; answers the notice."""
        for key in keys:
            self.controls.press(key)
            await self.controls.settle()
        return self.controls.notice

    def cuts(self) -> dict[str, set[str]]:
        return {node.name: set(node.cut_from) for node in self.nodes}


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Played]:
    made = Played(tmp_path, 3)
    yield made
    await made.controls.close()
    await made.cluster.session.close()


async def test_k_kills_the_chosen_node_and_r_revives_it(played: Played) -> None:
    assert await played.press("k") == "node3 was killed; r revives it"
    assert [node.up for node in played.nodes] == [True, True, False]
    assert await played.press("r") == "node3 serves again"
    assert played.nodes[2].up


async def test_tab_chooses_another_node_around_the_end(played: Played) -> None:
    await played.press("down", "down", "k")
    assert [node.up for node in played.nodes] == [True, False, True]
    await played.press("up", "k")
    assert [node.up for node in played.nodes] == [False, False, True]


async def test_a_key_that_does_nothing_now_says_why(played: Played) -> None:
    assert await played.press("r") == "r: node3 runs"
    assert await played.press("k", "k") == "k: node3 doesn't run"


async def test_p_parts_each_side_from_the_other_and_heals_it(played: Played) -> None:
    await played.press("p")
    assert played.cuts() == {"node1": {"node3"}, "node2": {"node3"}, "node3": {"node1", "node2"}}
    assert played.controls.sides == {"node1": "A", "node2": "A", "node3": "B"}
    await played.press("p")
    assert played.cuts() == {"node1": set(), "node2": set(), "node3": set()}
    assert played.controls.sides == {}


async def test_a_node_that_is_revived_is_on_its_side_of_the_partition(played: Played) -> None:
    await played.press("k", "p")
    played.nodes[2].cut_from = frozenset()
    await played.press("r")
    assert played.cuts()["node3"] == {"node1", "node2"}


async def test_one_node_alone_has_nobody_to_part_from(tmp_path: Path) -> None:
    alone = Played(tmp_path, 1)
    assert "takes two nodes" in await alone.press("p")
    assert alone.controls.sides == {}
    await alone.cluster.session.close()


async def test_what_fails_is_a_notice_and_the_keys_go_on(played: Played) -> None:
    played.nodes[2].fails = "node3 was not ready in 30 s:\nits log"
    assert await played.press("k", "r") == "it failed: node3 was not ready in 30 s:"
    played.nodes[2].fails = ""
    assert await played.press("k", "r") == "node3 serves again"


async def test_c_without_an_answer_is_a_notice(played: Played) -> None:
    assert (await played.press("c")).startswith("it failed: ")


async def test_closing_ends_what_is_under_way(played: Played) -> None:
    never = asyncio.Event()

    async def wait(session: object) -> None:
        await never.wait()

    await played.press("k")
    played.nodes[2].until_ready = wait  # type: ignore[method-assign]
    played.controls.press("r")
    async with asyncio.timeout(20):
        while not played.nodes[2].up:
            await asyncio.sleep(0)
        await played.controls.close()
    assert played.nodes[2].up
