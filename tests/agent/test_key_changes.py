"""Installing, using and removing keys: who must have heard of what."""

from pathlib import Path

import pytest

from gossip.keyring import configured, key_id
from gossip.limits import KEYS_MAX
from node.admin.node_view import Conflict, NoSuchKey, NotAvailable
from node.agent.key_changes import DRAWS_MAX
from node.agent.keys import KeyHolder
from tests.agent.key_nodes import K1, K2, Database, Node, node_id


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    return await Node(tmp_path / "node", configured(K1), Database()).start()


def member(number: int, counter: int | None, status: str = "alive") -> KeyHolder:
    return KeyHolder(node_id(number), f"gw{number}", status, counter, False)


async def install(node: Node, key: bytes | None = None) -> str:
    shown_id, _ = await node.changes.install(key, replace_unopened=False)
    return shown_id


async def test_a_rotation_on_a_node_alone(node: Node) -> None:
    new = await install(node, K2)
    assert new == key_id(K2)
    await node.changes.use(new.upper())
    await node.changes.remove(key_id(K1), force=False)
    assert node.in_use is not None
    assert (node.in_use.counter, node.in_use.keys) == (3, (K2,))
    assert node.in_use.author == node_id(1)


async def test_a_key_that_is_there_is_installed_already(node: Node) -> None:
    assert await node.changes.install(K1, replace_unopened=False) == (key_id(K1), False)
    assert node.in_use == configured(K1)


async def test_without_a_key_one_is_drawn(node: Node) -> None:
    new = await install(node)
    assert node.in_use is not None
    assert len(node.in_use.keys) == 2
    assert key_id(node.in_use.keys[1]) == new


async def test_a_drawn_key_whose_id_is_taken_is_drawn_again(node: Node) -> None:
    node.drawn = iter([_alike(K1)] * (DRAWS_MAX - 1) + [K2])
    assert await install(node) == key_id(K2)
    node.drawn = iter([_alike(K1)] * DRAWS_MAX)
    with pytest.raises(Conflict, match="ids too much alike"):
        await install(node)


def _alike(key: bytes) -> bytes:
    """Another key whose id begins like this one's."""
    number = 0
    while True:
        number += 1
        other = number.to_bytes(32, "big")
        if key_id(other)[:4] == key_id(key)[:4]:
            return other


async def test_a_key_is_used_once_every_live_member_has_told_that_it_has_it(node: Node) -> None:
    node.others = [member(2, 0), member(3, 1, "suspect"), member(4, None, "leaving")]
    new = await install(node, K2)
    with pytest.raises(Conflict, match=r"\(1\) hasn't been told back by gw2, gw4, which"):
        await node.changes.use(new)
    assert node.changes.status()[1:] == (1, 4, ["gw2", "gw4"])
    node.others = [member(2, 1), member(3, 1), member(4, 2), member(5, 0, "failed")]
    await node.changes.use(new)
    assert node.in_use is not None
    assert node.in_use.keys == (K2, K1)


async def test_a_key_goes_once_nobody_may_come_back_that_sends_under_it(node: Node) -> None:
    new = await install(node, K2)
    await node.changes.use(new)
    node.others = [member(2, 2), member(3, 1, "failed"), member(4, 0, "left")]
    with pytest.raises(Conflict, match=r"\(2\) hasn't been told back by gw3, which may still"):
        await node.changes.remove(key_id(K1), force=False)
    await node.changes.remove(key_id(K1), force=True)
    assert node.in_use is not None
    assert node.in_use.keys == (K2,)


async def test_the_key_in_use_does_not_go_even_by_force(node: Node) -> None:
    with pytest.raises(Conflict, match="in use; use another one first"):
        await node.changes.remove(key_id(K1), force=True)


async def test_an_unknown_id_is_named(node: Node) -> None:
    for change in (node.changes.use("00000000"), node.changes.remove("00000000", force=True)):
        with pytest.raises(NoSuchKey, match=f"'00000000'; the keyring holds {key_id(K1)}"):
            await change


async def test_using_the_key_in_use_changes_nothing_and_asks_nobody(node: Node) -> None:
    node.others = [member(2, None)]
    await node.changes.use(key_id(K1))
    assert node.in_use == configured(K1)


async def test_a_full_keyring_takes_no_more(node: Node) -> None:
    for _ in range(KEYS_MAX - 1):
        await install(node)
    for key in (None, K2):
        with pytest.raises(Conflict, match=f"a keyring holds 1 to {KEYS_MAX}"):
            await install(node, key)


async def test_many_names_are_counted(node: Node) -> None:
    node.others = [member(number, None) for number in range(2, 30)]
    new = await install(node, K2)
    with pytest.raises(Conflict, match="gw11 and 18 more, which"):
        await node.changes.use(new)


async def test_a_cluster_in_clear_has_no_keys_and_a_node_apart_can_not_tell(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path / "node", None, Database())
    with pytest.raises(NotAvailable):
        node.changes.status()
    node.clear = True
    await node.start()
    with pytest.raises(Conflict, match="talks in clear"):
        node.changes.status()
    with pytest.raises(Conflict, match="talks in clear"):
        await install(node)
