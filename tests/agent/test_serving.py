"""Whole states on their way into a node that goes on with other things meanwhile."""

import asyncio

import pytest

from node.agent.limits import LOAD_SLICE_ENTITIES
from node.agent.serving import Serving
from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.history import EPOCHS, Epoch
from store.lineage import encode_record
from store.replica import Applied, Replica
from store.snapshot_slices import encode_slices
from store.version import EMPTY, Head, Version

COUNT = 10 * LOAD_SLICE_ENTITIES


def state(revision: int, count: int = COUNT) -> State:
    changes = tuple(Change("services", f"{number:05d}", "{}") for number in range(count))
    return State(Head(Version(1, 7, revision), b"%032d" % revision), changes)


def following(head: Head) -> Changeset:
    body = encode_body(Body(bytes(16), 1.0, "n", (Change("routes", "r", "{}"),)))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


class Watched:
    """A replica being served, and what its node was told."""

    def __init__(self) -> None:
        self.applied: list[Version] = []
        self.loaded: list[Version] = []
        self.mended: list[tuple[Version, tuple[Change, ...]]] = []
        self.serving = Serving(Replica("a"), self._applied, self._loaded)
        self.serving.on_mended = self._mended

    def _applied(self, applied: Applied) -> None:
        self.applied.append(applied.changeset.version)

    def _loaded(self) -> None:
        self.loaded.append(self.serving.version)

    def _mended(self, version: Version, changes: tuple[Change, ...]) -> None:
        self.mended.append((version, changes))


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def turn() -> None:
    """Let everything else have a turn of the loop."""
    await asyncio.sleep(0)


async def test_a_state_is_served_whole_and_others_get_their_turns(watched: Watched) -> None:
    loading = asyncio.create_task(watched.serving.load(state(5)))
    turns = 0
    while not loading.done():
        assert watched.serving.version == EMPTY.version or len(watched.serving.replica) == COUNT
        await turn()
        turns += 1
    assert await loading == state(5).head
    assert turns >= 10
    assert watched.loaded == [Version(1, 7, 5)]


async def test_a_state_arrives_in_its_order(watched: Watched) -> None:
    await watched.serving.load(state(5, count=2 * LOAD_SLICE_ENTITIES + 7))
    held = tuple(watched.serving.replica.pin().changes())
    assert held == state(5, count=2 * LOAD_SLICE_ENTITIES + 7).entities


async def test_a_state_that_was_overtaken_while_it_came_is_dropped(watched: Watched) -> None:
    await watched.serving.load(state(4, count=1))
    loading = asyncio.create_task(watched.serving.load(state(5)))
    await turn()
    for _ in range(2):
        assert watched.serving.offer(*following(watched.serving.head())) == "applied"
    assert await loading is None
    assert watched.serving.version == Version(1, 7, 6)
    assert watched.loaded == [Version(1, 7, 4)]


async def test_a_state_further_ahead_replaces_what_was_applied_while_it_came(
    watched: Watched,
) -> None:
    await watched.serving.load(state(3, count=1))
    loading = asyncio.create_task(watched.serving.load(state(5)))
    await turn()
    assert watched.serving.offer(*following(watched.serving.head())) == "applied"
    assert await loading == state(5).head
    assert watched.serving.version == Version(1, 7, 5)


async def test_it_never_goes_back_to_a_lower_version(watched: Watched) -> None:
    await watched.serving.load(state(9, count=1))
    assert await watched.serving.load(state(5)) is None
    assert watched.serving.version == Version(1, 7, 9)
    assert watched.loaded == [Version(1, 7, 9)]


async def test_a_higher_epoch_is_taken_from_gossip_only_while_the_authority_is_away(
    watched: Watched,
) -> None:
    await watched.serving.load(state(9, count=1))
    head = watched.serving.head()
    following_epoch = following(head)._replace(version=Version(2, 8, 10))
    watched.serving.confirms = lambda version: False
    assert watched.serving.offer(*following_epoch) == "unconfirmed"
    assert watched.serving.head() == head
    assert watched.serving.offer(*following(head)) == "applied", "of this epoch"
    watched.serving.confirms = lambda version: True
    after = following(watched.serving.head())._replace(version=Version(2, 8, 11))
    assert watched.serving.offer(*after) == "applied"


async def test_a_peers_whole_state_of_a_higher_epoch_must_be_confirmed_too(
    watched: Watched,
) -> None:
    await watched.serving.load(state(9, count=1))
    held = watched.serving.head()
    source = Replica("a")
    source.load(State(Head(Version(2, 8, 12), b"e" * 32), ()))
    source_hash = source.state_hash(source.head()[0])
    assert source_hash is not None
    for confirmed in (False, True):
        watched.serving.confirms = lambda version, answer=confirmed: answer  # type: ignore[misc]
        installation = watched.serving.begin_install(*source.head(), source_hash)
        for data in encode_slices(source.pin(), 1_000):
            assert installation.feed(data)
        assert installation.finish() == ("installed" if confirmed else "stale")
        assert (watched.serving.head() == held) is not confirmed


async def test_what_the_authority_shows_of_a_higher_epoch_is_taken(watched: Watched) -> None:
    await watched.serving.load(state(9, count=1))
    watched.serving.confirms = lambda version: False
    after = following(watched.serving.head())._replace(version=Version(2, 8, 10))
    assert watched.serving.take(after) == "applied"


async def test_what_a_higher_epoch_leaves_behind_is_told(watched: Watched) -> None:
    left: list[Changeset] = []
    watched.serving.on_abandoned = left.extend
    await watched.serving.load(state(5, count=1))
    for _ in range(3):
        assert watched.serving.offer(*following(watched.serving.head())) == "applied"
    lost = watched.serving.head()
    epoch = Epoch(2, 8, 6, Head(Version(1, 7, 6), b"k" * 32), lost, 1.0, "n")
    record = Change(EPOCHS, "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", encode_record("r", epoch))
    await watched.serving.load(State(Head(Version(2, 8, 7), b"e" * 32), (record,)))
    assert [changeset.version.revision for changeset in left] == [7, 8]
    await watched.serving.load(State(Head(Version(2, 8, 9), b"f" * 32), (record,)))
    assert len(left) == 2, "nothing more in the same epoch"


async def test_a_state_that_can_not_be_read_changes_nothing(watched: Watched) -> None:
    good = state(5)
    broken = State(good.head, (*good.entities, Change("services", "x", "{")))
    with pytest.raises(ValueError, match="Expecting"):
        await watched.serving.load(broken)
    assert watched.serving.head() == EMPTY
    assert watched.loaded == []


async def test_a_peers_snapshot_is_told_once_it_is_served(watched: Watched) -> None:
    source = Replica("a")
    source.load(state(5))
    installation = watched.serving.begin_install(*source.head(), source.state_hash() or b"")
    for data in source.give().slices(10_000):
        assert installation.feed(data)
        assert watched.loaded == []
    assert installation.finish() == "installed"
    assert watched.loaded == [Version(1, 7, 5)]
    late = watched.serving.begin_install(*source.head(), source.state_hash() or b"")
    assert all(late.feed(data) for data in source.give().slices(10_000))
    assert late.finish() == "stale"
    assert watched.loaded == [Version(1, 7, 5)]


async def test_what_was_replaced_or_abandoned_is_let_go_of_in_later_turns(
    watched: Watched,
) -> None:
    source = Replica("a")
    source.load(state(9))
    await watched.serving.load(state(5))
    abandoned = watched.serving.begin_install(*source.head(), source.state_hash() or b"")
    assert abandoned.feed(next(source.give().slices(10_000)))
    abandoned.abandon()
    await watched.serving.load(state(6, count=1))
    assert watched.serving.replica._released
    for _ in range(COUNT):
        await turn()
    assert not watched.serving.replica._released


async def test_a_mistake_of_ours_in_one_changeset_damages_but_ends_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.serving.load(state(5))
    told: list[str] = []
    watched.serving.on_broken = told.append

    def fail(*_: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(watched.serving.replica._contents, "apply", fail)
    assert watched.serving.offer(*following(watched.serving.head())) == "poison"
    assert watched.serving.version == Version(1, 7, 5)
    assert told == ["changeset 1.6 failed: KeyError('a mistake')"]


async def test_what_is_mended_is_told_as_changes(watched: Watched) -> None:
    await watched.serving.load(state(5, count=3))
    source = Replica("a")
    source.load(state(9, count=4))
    giving = source.give()
    reconciliation = watched.serving.begin_reconcile(*giving.head, giving.state_hash)
    step = reconciliation.proceed()
    while step != "ready":
        answer = None
        while isinstance(step, bytes) and (answer := giving.answer(step)) is None:
            giving.work()
        step = reconciliation.proceed(answer or b"")
    assert reconciliation.finish() == "installed"
    ((version, changes),) = watched.mended
    assert version == Version(1, 7, 9)
    assert len(changes) == 1
    assert watched.loaded == [Version(1, 7, 5)]


async def test_a_version_is_awaited_for_so_long() -> None:
    serving = Serving(Replica("a"), lambda *_: None, lambda: None)
    first = following(EMPTY)
    waiting = asyncio.create_task(serving.reached(first.version, 30.0))
    await turn()
    assert not waiting.done()
    assert serving.take(first) == "applied"
    assert await waiting
    assert await serving.reached(first.version, 0.0), "it is there already"
    assert not await serving.reached(first.version._replace(revision=2), 0.001)


def large(head: Head) -> Changeset:
    """More than is applied in one go."""
    changes = tuple(Change("services", f"{number:05d}", None) for number in range(COUNT))
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


async def test_a_large_changeset_is_served_whole_and_others_get_their_turns(
    watched: Watched,
) -> None:
    await watched.serving.load(state(5))
    taking = asyncio.create_task(watched.serving.take_whole(large(watched.serving.head())))
    waiting = asyncio.create_task(watched.serving.reached(Version(1, 7, 6), 30.0))
    turns = 0
    while not taking.done():
        assert len(watched.serving.replica) == (0 if watched.applied else COUNT)
        await turn()
        turns += 1
    assert await taking == "applied"
    assert turns > 10
    assert watched.applied == [Version(1, 7, 6)]
    assert await waiting


async def test_one_that_was_finished_in_the_name_of_another_is_told_once(watched: Watched) -> None:
    await watched.serving.load(state(5))
    first = large(watched.serving.head())
    other = following(watched.serving.head())
    assert watched.serving.take(first) == "preparing"
    assert await watched.serving.take_whole(other) == "forked"
    assert watched.applied == [first.version]
    assert watched.serving.take(first) == "known"
    assert watched.applied == [first.version]
    await watched.serving.until_prepared()
    assert not watched.serving.preparing
