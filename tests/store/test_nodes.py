"""The nodes' rows, and the nodes that were forced out, on both engines."""

import pytest

from store import nodes
from store.authority import Authority, NodeRow, Removal
from store.errors import SchemaMismatch
from store.nodes import REMOVAL_SCHEMA
from tests.store.conftest import EVERY_ENGINE, Engine

pytestmark = EVERY_ENGINE


async def test_generations_only_grow(authority: Authority) -> None:
    assert await authority.next_generation("n", floor=0) == 1
    assert await authority.next_generation("n", floor=0) == 2
    assert await authority.next_generation("n", floor=7) == 8
    assert await authority.next_generation("m", floor=3) == 4


async def test_nodes_find_each_other_by_their_rows(authority: Authority) -> None:
    await authority.next_generation("silent", floor=0)
    rows = [NodeRow("a", "gw1", 2, "10.0.0.1:8005"), NodeRow("b", "gw2", 1, "[::1]:8005")]
    for row in rows:
        await authority.register(row)
    assert list(await authority.nodes()) == rows
    await authority.register(NodeRow("a", "old", 1, "x:1"))
    assert list(await authority.nodes()) == rows  # an older process doesn't displace a younger one
    await authority.forget("a", generation=1)
    await authority.forget("b", generation=1)
    assert list(await authority.nodes()) == rows[:1]


async def test_a_node_that_was_forced_out_has_no_row_up_to_that_generation(
    authority: Authority,
) -> None:
    """scylladb#14991: a removal is a fact that no old process can undo."""
    for row in (NodeRow("a", "gw1", 4, "10.0.0.1:8005"), NodeRow("b", "gw2", 9, "10.0.0.2:8005")):
        await authority.register(row)
    await authority.remove(Removal("a", 4))
    await authority.remove(Removal("b", 8))
    assert [row.id for row in await authority.nodes()] == ["b"], "b has begun a later life"
    await authority.register(NodeRow("a", "gw1", 4, "10.0.0.1:8005"))
    await authority.register(NodeRow("a", "gw1", 3, "10.0.0.1:8005"))
    assert [row.id for row in await authority.nodes()] == ["b"]
    back = NodeRow("a", "gw1", 5, "10.0.0.1:8005")
    await authority.register(back)
    assert back in await authority.nodes()


async def test_the_next_generation_is_above_the_removal(authority: Authority) -> None:
    await authority.remove(Removal("a", 7))
    assert await authority.next_generation("a", floor=2) == 8
    assert await authority.next_generation("a", floor=20) == 21
    await authority.forget("a", generation=21)
    assert await authority.next_generation("a", floor=0) == 8


async def test_removals_are_told_latest_first_and_only_grow(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now, removal in enumerate((Removal("a", 3), Removal("b", 1), Removal("a", 2))):
        monkeypatch.setattr(authority, "_clock", lambda now=now: float(now))
        await authority.remove(removal)
    assert await authority.removals() == (Removal("b", 1), Removal("a", 3))
    await authority.remove(Removal("a", 4))
    assert await authority.removals() == (Removal("a", 4), Removal("b", 1))


async def test_only_so_many_removals_are_remembered(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "REMOVALS_MAX", 2)
    for number, node_id in enumerate("abcd"):
        monkeypatch.setattr(authority, "_clock", lambda number=number: float(number))
        await authority.remove(Removal(node_id, 1))
    assert [removal.id for removal in await authority.removals()] == ["d", "c"]


async def test_a_schema_without_a_place_for_removals_has_none_and_takes_none(
    engine: Engine,
) -> None:
    await engine.sql("DROP TABLE removed_node")
    await engine.sql(f"UPDATE authority SET schema_version = {REMOVAL_SCHEMA - 1}")
    authority = await engine.connect()
    row = NodeRow("a", "gw1", 4, "10.0.0.1:8005")
    await authority.register(row)
    assert await authority.nodes() == (row,)
    assert await authority.removals() == ()
    assert await authority.next_generation("a", 0) == 5
    with pytest.raises(SchemaMismatch, match="run 'grapevine migrations up'"):
        await authority.remove(Removal("a", 4))
