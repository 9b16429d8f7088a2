"""An authority that has lost commits, and how its epoch is raised: alike in every engine.

Each test's node knows what it has committed, whatever earlier image the database is put back to.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from store.authority import Authority, Committed, Create, Delete, Patch, Query
from store.changeset import decode_body
from store.errors import HistoryForked
from store.history import EPOCHS, Epoch
from store.replica import Replica
from store.version import EMPTY, Head, Version
from tests.store.conftest import EVERY_ENGINE, Engine
from tests.store.history import check_history

pytestmark = EVERY_ENGINE


class Node:
    """One that remembers what it has committed, and compares with it."""

    def __init__(self, authority: Authority, known: list[Head] | None = None) -> None:
        self.authority = authority
        self.known = [EMPTY] if known is None else known
        """Oldest first."""
        self.epochs: Sequence[Epoch] = ()

    @property
    def confirmed(self) -> Head:
        return self.known[-1]

    async def write(self, *names: str) -> Head:
        """Create a service of each name, one write after the other; the head after them."""
        for name in names:
            mutation = Create("services", {"name": name, "host": "h"})
            self.known.append((await self.authority.write([mutation], origin="n1")).head)
        return self.confirmed

    async def raise_epoch(self, **options: Any) -> Committed:
        """With all it knows."""
        options.setdefault("known", self.known[::-1])
        options.setdefault("epochs", self.epochs)
        return await self.authority.raise_epoch(self.confirmed, origin="n1", **options)


@pytest.fixture
async def node(engine: Engine) -> Node:
    known = [EMPTY]
    return Node(await engine.connect(confirmed=lambda: known[-1]), known)


async def names_of(authority: Authority) -> list[str]:
    return sorted(item["name"] for item in (await authority.list(Query("services"))).entities)


async def replica_of(authority: Authority) -> Replica:
    """One that has followed the log from its beginning."""
    replica = Replica("test")
    for changeset in await authority.log(EMPTY) or ():
        assert replica.offer(*changeset) == "applied"
    return replica


async def lose(engine: Engine, node: Node, *names: str) -> None:
    """Write these through the node, and lose them."""
    image = await engine.backup()
    await node.write(*names)
    await engine.restore(image)


async def overwrite(engine: Engine, *names: str) -> Head:
    """Write these through a node that knows nothing of the past."""
    return await Node(await engine.connect()).write(*names)


# The comparison


async def test_a_history_that_goes_on_proves_nothing(engine: Engine, node: Node) -> None:
    first, second = await node.write("a"), await node.write("b")
    for confirmed in (EMPTY, first, second):
        standing = await node.authority.standing(confirmed)
        assert (standing.head, standing.proof) == (second, "")
        answer = await node.authority.raise_epoch(confirmed, origin="n1")
        assert (answer.head, answer.changeset) == (second, None)


async def test_lost_commits_are_a_proof(engine: Engine, node: Node) -> None:
    kept = await node.write("a")
    await lose(engine, node, "b", "c")
    standing = await node.authority.standing(node.confirmed)
    assert (standing.head, standing.proof) == (kept, "below")
    assert (await node.authority.standing(kept)).proof == ""


async def test_a_revision_with_other_content_is_a_proof(engine: Engine, node: Node) -> None:
    kept = await node.write("a")
    await lose(engine, node, "b", "c")
    other = await overwrite(engine, "x", "y", "z")
    for confirmed, proof in ((kept, ""), (node.known[2], "reused"), (node.confirmed, "reused")):
        standing = await node.authority.standing(confirmed)
        assert (standing.head, standing.proof) == (other, proof)


async def test_a_head_of_the_same_version_with_another_chain_is_a_proof(
    engine: Engine, node: Node
) -> None:
    await node.write("a")
    await lose(engine, node, "b")
    other = await overwrite(engine, "x")
    assert other.version == node.confirmed.version
    await engine.sql("DELETE FROM log")
    assert (await node.authority.standing(node.confirmed)).proof == "reused"
    with pytest.raises(HistoryForked):
        await node.write("c")


async def test_a_trimmed_log_proves_nothing(engine: Engine, node: Node) -> None:
    await node.write("a")
    await lose(engine, node, "b")
    await overwrite(engine, "x", "y")
    await engine.sql("DELETE FROM log WHERE revision = 2")
    assert (await node.authority.standing(node.confirmed)).proof == ""
    assert (await node.raise_epoch()).changeset is None
    await node.write("c")


@pytest.mark.parametrize("image_of", ["below", "reused"])
async def test_a_write_that_meets_a_proof_writes_nothing(
    engine: Engine, node: Node, image_of: str
) -> None:
    kept = await node.write("a")
    await lose(engine, node, "b", "c")
    if image_of == "reused":
        kept = await overwrite(engine, "x", "y", "z")
    before = await node.authority.state()
    with pytest.raises(HistoryForked) as caught:
        await node.write("d")
    assert caught.value.standing == await node.authority.standing(node.confirmed)
    assert caught.value.standing.head == kept
    assert str(kept.version) in str(caught.value)
    assert await node.authority.state() == before
    await check_history(node.authority)


async def test_all_that_share_the_transaction_are_told(engine: Engine, node: Node) -> None:
    await lose(engine, node, "a")
    answers = await asyncio.gather(
        *(node.write(f"w{number}") for number in range(5)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [HistoryForked] * 5
    assert len({id(answer) for answer in answers}) == 5
    assert (await node.authority.head()).version.revision == 0


async def test_a_write_that_changes_nothing_is_compared_too(engine: Engine, node: Node) -> None:
    await node.write("a")
    await lose(engine, node, "b")
    for mutation in (Delete("services", "nobody"), Patch("services", "a", {"host": "h"})):
        with pytest.raises(HistoryForked):
            await node.authority.write([mutation], origin="n1")


async def test_a_write_that_is_in_the_log_is_answered_from_it_once_the_history_is_settled(
    engine: Engine, node: Node
) -> None:
    """Another's commit, that lies in a history which isn't the confirmed one."""
    await lose(engine, node, "b")
    retried = ([Create("services", {"name": "a", "host": "h"})], bytes(range(16)))
    stranger = await engine.connect()
    first = await stranger.write(retried[0], origin="n2", write_id=retried[1])
    with pytest.raises(HistoryForked):
        await node.authority.write(retried[0], origin="n1", write_id=retried[1])
    node.known.append((await node.raise_epoch()).head)
    again = await node.authority.write(retried[0], origin="n1", write_id=retried[1])
    assert again.changeset == first.changeset


# Raising


async def test_a_raise_is_a_changeset_above_both_histories(engine: Engine, node: Node) -> None:
    kept = await node.write("a")
    await lose(engine, node, "b", "c")
    raised = await node.raise_epoch()
    assert raised.changeset is not None
    assert raised.head == await node.authority.head()
    assert raised.head.version > node.confirmed.version
    assert raised.changeset.predecessor == kept.digest
    assert raised.head.version.epoch == 2
    assert raised.head.version.tag != kept.version.tag
    assert raised.head.version.revision == kept.version.revision + 1
    body = decode_body(raised.changeset.body)
    (change,) = body.changes
    assert (body.mark, body.origin, change.kind) == ("epoch", "n1", EPOCHS)

    (epoch,) = (await replica_of(node.authority)).epochs()
    assert (epoch.epoch, epoch.tag) == raised.head.version[:2]
    assert (epoch.fork_revision, epoch.kept, epoch.abandoned) == (1, kept, node.confirmed)
    assert (epoch.at, epoch.origin) == (body.committed_at, "n1")


async def test_after_a_raise_writing_goes_on(engine: Engine, node: Node) -> None:
    await node.write("a")
    await lose(engine, node, "b", "c")
    abandoned = node.confirmed
    await node.raise_epoch()
    await node.write("d", "e")  # by who still has the abandoned head, too
    assert (await node.authority.standing(abandoned)).proof == ""
    assert (await node.authority.standing(node.confirmed)).proof == ""
    assert await names_of(node.authority) == ["a", "d", "e"]
    assert await check_history(node.authority) == 4
    versions = [item.version[::2] for item in await node.authority.log(EMPTY) or ()]
    assert versions == [(1, 1), (2, 2), (2, 3), (2, 4)]


async def test_an_epoch_that_was_raised_is_not_raised_again(engine: Engine, node: Node) -> None:
    await node.write("a")
    await lose(engine, node, "b", "c")
    await overwrite(engine, "x", "y", "z")
    abandoned = node.confirmed
    raised = await node.raise_epoch()
    for forced in (False, True):
        again = await node.authority.raise_epoch(abandoned, origin="n2", forced=forced)
        assert (again.head, again.changeset) == (raised.head, None)
    await node.write("d")


async def test_of_two_raisers_at_once_exactly_one_raises(engine: Engine, node: Node) -> None:
    await node.write("a")
    await lose(engine, node, "b")
    other = await engine.connect()
    answers = await asyncio.gather(
        *(each.raise_epoch(node.confirmed, origin="n") for each in (node.authority, other) * 2)
    )
    assert sum(answer.changeset is not None for answer in answers) == 1
    assert {answer.head for answer in answers} == {await other.head()}
    assert await check_history(other) == 2


async def test_epochs_are_raised_one_above_another(engine: Engine, node: Node) -> None:
    image = await engine.backup()
    await node.write("a")
    await lose(engine, node, "b")
    node.known.append((await node.raise_epoch()).head)
    await node.write("c")
    await engine.restore(image)
    raised = await node.raise_epoch()
    assert raised.head.version[::2] == (3, 1)
    assert (await replica_of(node.authority)).epochs()[0].fork_revision == 0
    await node.write("d")
    assert await check_history(node.authority) == 2


async def test_only_when_it_is_forced_is_an_epoch_raised_without_proof(
    engine: Engine, node: Node
) -> None:
    head = await node.write("a", "b")
    assert (await node.raise_epoch()).changeset is None
    raised = await node.raise_epoch(forced=True)
    assert raised.head.version[::2] == (2, 3)
    assert (await replica_of(node.authority)).epochs()[0].fork_revision == 2
    assert (await node.authority.raise_epoch(head, origin="n1", forced=True)).changeset is None
    assert await check_history(node.authority) == 3


@pytest.mark.parametrize(("tag", "proof"), [(6, ""), (4, "below")])
async def test_of_two_tags_of_one_epoch_the_higher_one_is_kept(
    engine: Engine, tag: int, proof: str
) -> None:
    """Two servers were both raised; whoever knows the other one goes where the higher tag is."""
    first, second = [Node(await engine.connect(draw_tag=lambda tag=tag: tag)) for tag in (5, tag)]
    first.known.append(await second.write("a"))
    await lose(engine, second, "b")
    first.known.append(second.confirmed)
    image = await engine.backup()
    abandoned = (await first.raise_epoch()).head
    await engine.restore(image)
    head = (await second.raise_epoch()).head
    assert (abandoned.version, head.version) == (Version(2, 5, 2), Version(2, tag, 2))
    assert (await first.authority.standing(abandoned)).proof == proof
    first.known.append(abandoned)
    raised = await first.raise_epoch()
    assert raised.head.version.epoch == (3 if proof else 2)
    assert (raised.changeset is not None) == (proof != "")


# Where the histories part


def known_from(node: Node, oldest: int) -> Sequence[Head]:
    return [head for head in node.known[::-1] if head.version.revision >= oldest]


@pytest.mark.parametrize(
    ("oldest_known", "fork"),
    [(0, 3), (2, 3), (3, 3), (4, 0), (99, 0)],
    ids=["all", "some", "just enough", "too little", "nothing"],
)
async def test_a_reused_revision_is_never_taken_for_shared(
    engine: Engine, node: Node, oldest_known: int, fork: int
) -> None:
    await node.write("a", "b", "c")
    await lose(engine, node, "d", "e", "f", "g")
    await overwrite(engine, "x", "y", "z")  # below what is confirmed all the same
    raised = await node.raise_epoch(known=known_from(node, oldest_known))
    assert raised.changeset is not None
    (epoch,) = (await replica_of(node.authority)).epochs()
    if oldest_known == 99:
        fork = 6  # nothing contradicts that commits were lost from the end, and no more
    assert epoch.fork_revision == fork
    assert epoch.kept.version.revision == 6


@pytest.mark.parametrize(("known", "fork"), [(False, 0), (True, 2)])
async def test_a_side_of_a_split_that_is_adopted_shares_only_what_is_known(
    engine: Engine, node: Node, known: bool, fork: int
) -> None:
    """The other side is ahead, and both have written."""
    await node.write("a", "b")
    await lose(engine, node, "c", "d", "e")
    await overwrite(engine, "x")
    await node.raise_epoch(known=node.known if known else (), forced=True)
    assert (await replica_of(node.authority)).epochs()[0].fork_revision == fork


@pytest.mark.parametrize(("oldest_known", "fork"), [(0, 2), (3, 0), (99, 0)])
async def test_where_a_longer_history_has_left_is_found_among_what_is_known(
    engine: Engine, node: Node, oldest_known: int, fork: int
) -> None:
    await node.write("a", "b")
    await lose(engine, node, "c", "d", "e")
    await overwrite(engine, "v", "w", "x", "y", "z")
    await node.raise_epoch(known=known_from(node, oldest_known))
    assert (await replica_of(node.authority)).epochs()[0].fork_revision == fork


async def test_what_was_trimmed_is_not_taken_for_shared(engine: Engine, node: Node) -> None:
    await node.write("a", "b")
    await lose(engine, node, "c", "d")
    await overwrite(engine, "x", "y", "z")
    await engine.sql("DELETE FROM log WHERE revision < 4")
    raised = await node.raise_epoch()
    assert raised.changeset is not None
    replica = Replica("test")
    replica.load(await node.authority.state())
    assert replica.epochs()[0].fork_revision == 0


async def test_a_replica_knows_what_is_lost(engine: Engine, node: Node) -> None:
    await node.write("a", "b")
    await lose(engine, node, "c", "d")
    old = node.known[:]
    raised = await node.raise_epoch()
    after = await node.write("e")
    replica = await replica_of(node.authority)
    assert [replica.reach(head.version) for head in old] == [*["reached"] * 3, *["forked"] * 2]
    assert replica.reach(raised.head.version) == replica.reach(after.version) == "reached"
    assert replica.reach(Version(*after.version[:2], 99)) == "behind"


async def test_what_a_lost_raise_knew_is_recorded_again(engine: Engine, node: Node) -> None:
    await node.write("a", "b")
    await lose(engine, node, "c", "d")
    old = node.known[-1]
    await overwrite(engine, "x", "y")
    image = await engine.backup()
    await node.raise_epoch()
    replica = await replica_of(node.authority)
    node.known[:] = replica.heads(99)[::-1]
    node.epochs = replica.epochs()
    assert [epoch.fork_revision for epoch in node.epochs] == [2]
    await engine.restore(image)
    await node.raise_epoch()
    replica = await replica_of(node.authority)
    assert [epoch.fork_revision for epoch in replica.epochs()] == [2]
    assert replica.reach(old.version) == "forked"


# Nobody sees the records


async def test_records_of_epochs_are_not_among_the_tags(engine: Engine, node: Node) -> None:
    await lose(engine, node, "a")
    await node.raise_epoch()
    assert await node.authority.tags(None, 100) == []


async def test_which_server_answers_is_told(engine: Engine, node: Node) -> None:
    first, second = [(await node.authority.standing(EMPTY)).server for _ in range(2)]
    assert first == second
    assert (first.timeline > 0) == engine.is_postgres
    assert ":" in first.address
