"""The nodes' rows in the authority, and what it is told of members that were forced out."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gossip.address import Address
from node.agent import directory
from node.agent.directory import Directory
from node.agent.removals import Removals
from store.authority import Authority, NodeRow, Removal
from store.errors import AuthorityUnavailable
from store.migrations.sqlite_runner import SqliteMigrations
from store.sqlite import SqliteAuthority

OWN = NodeRow("a", "gw1", 3, "10.0.0.1:8005")
OTHER = NodeRow("b", "gw2", 1, "10.0.0.2:8005")


class Played:
    """A membership that does what the test says."""

    def __init__(self) -> None:
        self.own: NodeRow | None = OWN
        self.is_alone = True
        self.joined: list[Address] = []
        self.told: list[Removal] = []

    def row(self) -> NodeRow | None:
        return self.own

    def alone(self) -> bool:
        return self.is_alone

    def join(self, addresses: Sequence[Address]) -> None:
        self.joined += addresses

    def removed(self, removals: Sequence[Removal]) -> None:
        self.told += removals


class Scene:
    """A node's directory over a real authority, whose connection is the test's."""

    def __init__(self, prefix: Path, authority: Authority) -> None:
        self.prefix = prefix
        self.authority = authority
        self.membership = Played()
        self.connection = 1
        self.removals = Removals(prefix, authority)
        self.directory = Directory(
            authority, self.membership, self.removals, lambda: self.connection
        )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    path = tmp_path / "authority.db"
    await SqliteMigrations(path).bootstrap()
    authority = SqliteAuthority(path)
    await authority.open()
    yield Scene(tmp_path, authority)
    await authority.close()


async def test_the_own_row_is_written_before_the_others_are_read(scene: Scene) -> None:
    order: list[str] = []
    register, nodes = scene.authority.register, scene.authority.nodes

    async def registering(row: NodeRow) -> None:
        order.append("register")
        await register(row)

    async def reading() -> Sequence[NodeRow]:
        order.append("nodes")
        return await nodes()

    scene.authority.register = registering  # type: ignore[method-assign]
    scene.authority.nodes = reading  # type: ignore[method-assign]
    await scene.directory.look()
    assert order == ["register", "nodes"]


async def test_a_lone_node_reads_the_others_rows_each_time(scene: Scene) -> None:
    await scene.directory.look()
    assert scene.membership.joined == []
    await scene.authority.register(OTHER)
    await scene.directory.look()
    assert scene.membership.joined == [("10.0.0.2", 8005)]


async def test_a_node_with_peers_leaves_the_authority_in_peace(scene: Scene) -> None:
    await scene.directory.look()
    scene.membership.is_alone = False
    await scene.authority.register(OTHER)
    await scene.authority.forget(OWN.id, OWN.generation)
    await scene.directory.look()
    assert scene.membership.joined == []
    assert OWN not in await scene.authority.nodes()


@pytest.mark.parametrize(
    "changed",
    [
        NodeRow("a", "gw1", 3, "10.0.0.9:8005"),
        NodeRow("a", "gw1~aaaa", 3, "10.0.0.1:8005"),
        NodeRow("a", "gw1", 4, "10.0.0.1:8005"),
        NodeRow("c", "gw1", 1, "10.0.0.1:8005"),
    ],
)
async def test_the_row_follows_the_address_the_name_and_the_life(
    scene: Scene, changed: NodeRow
) -> None:
    await scene.directory.look()
    scene.membership.is_alone = False
    scene.membership.own = changed
    await scene.directory.look()
    assert changed in await scene.authority.nodes()


async def test_a_row_that_is_gone_is_written_again_with_the_next_connection(scene: Scene) -> None:
    """A database that was restored from before this node's start."""
    await scene.directory.look()
    scene.membership.is_alone = False
    await scene.authority.forget(OWN.id, OWN.generation)
    scene.connection = 2
    await scene.directory.look()
    assert await scene.authority.nodes() == (OWN,)


async def test_the_row_goes_when_the_node_leaves(scene: Scene) -> None:
    await scene.directory.look()
    await scene.directory.leave()
    assert await scene.authority.nodes() == ()


async def test_the_row_of_who_left_the_listing_goes(scene: Scene) -> None:
    await scene.authority.register(OTHER)
    scene.directory.gone(OTHER.id, OTHER.generation)
    await scene.directory.look()
    assert await scene.authority.nodes() == (OWN,)


async def test_gossip_is_told_who_was_forced_out_with_each_connection(scene: Scene) -> None:
    await scene.authority.remove(Removal("b", 4))
    await scene.directory.look()
    await scene.directory.look()
    assert scene.membership.told == [Removal("b", 4)]
    scene.connection = 2
    await scene.directory.look()
    assert scene.membership.told == [Removal("b", 4)] * 2


async def test_only_the_latest_who_were_forced_out_are_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "REMOVALS_TOLD_MAX", 2)
    for number, node_id in enumerate("cde"):
        monkeypatch.setattr(scene.authority, "_clock", lambda number=number: float(number))
        await scene.authority.remove(Removal(node_id, 1))
    await scene.directory.look()
    assert [removal.id for removal in scene.membership.told] == ["d", "e"]


async def test_without_a_connection_nothing_is_asked_of_the_authority(scene: Scene) -> None:
    await scene.authority.close()
    scene.connection = 0
    await scene.directory.look()
    with pytest.raises(AuthorityUnavailable):
        await scene.directory.tell()


async def test_a_removal_waits_for_the_authority_across_a_restart(scene: Scene) -> None:
    scene.connection = 0
    await scene.removals.add(Removal("b", 4))
    await scene.directory.look()
    assert await scene.authority.removals() == ()

    later = Scene(scene.prefix, scene.authority)
    assert later.removals.pending() == [Removal("b", 4)]
    await later.directory.look()
    assert await scene.authority.removals() == (Removal("b", 4),)
    assert Scene(scene.prefix, scene.authority).removals.pending() == []


async def test_a_removal_that_the_authority_refused_is_told_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(removal: Removal) -> None:
        raise AuthorityUnavailable("away")

    await scene.removals.add(Removal("b", 4))
    with monkeypatch.context() as patch:
        patch.setattr(scene.authority, "remove", away)
        with pytest.raises(AuthorityUnavailable):
            await scene.directory.tell()
    assert scene.removals.pending() == [Removal("b", 4)]
    await scene.directory.look()
    assert scene.removals.pending() == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"removals": [7]}', '{"removals": [["b"]]}'])
async def test_a_damaged_list_of_removals_is_none(scene: Scene, content: str) -> None:
    (scene.prefix / "removals.json").write_text(content)
    assert Removals(scene.prefix, scene.authority).pending() == []
