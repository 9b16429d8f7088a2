"""Purges in a worker: what they forget, and in what order against revisions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossip.invalidation import By, Invalidation
from node.channel import Ask, Peek, Peeked, Purge, Told
from node.proxy.caches import Caches
from node.proxy.cold import ColdLookups
from store.canonical import decode_entity, encode_entity
from store.cold.cache_key import CacheKey, read_cache_key
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.version import EMPTY, Head, Version
from tests.proxy.process import running
from tests.store.keycards import KIND, card_id, keycard, known_keycards
from tests.store.replica_history import changeset, head_of

KEY = f"{KIND}:a:::::"


@pytest.fixture(autouse=True)
def keycards_are_known() -> Iterator[None]:
    with known_keycards():
        yield


class Lookups:
    """A worker's look-ups, and its caches."""

    def __init__(self, path: Path) -> None:
        self.asked: list[Ask] = []
        self.replica = Replica("a")
        self.file = ReplicaFile(path)
        self.cold = ColdLookups(path, self.asked.append, lambda: 1_000.0)
        self.caches = Caches()
        self.caches.register("entities", self.cold.forget, self.cold.peek)
        self.item = changeset(EMPTY, keycard(1, "a"), keycard(2, "b"), keycard(3, "c", "c1"))
        self.replica.offer(*self.item)
        self.serve(head_of(self.item).version)

    @property
    def version(self) -> Version:
        return head_of(self.item).version

    def serve(self, version: Version) -> None:
        self.cold.loaded(version)
        self.caches.reached(version)

    def write(self) -> None:
        """The file comes to the replica's version, and is vouched for."""
        whole = self.file.begin_whole()
        whole.write(list(self.replica.changes()))
        whole.finish(Head(*self.replica.head()), "a")
        about = self.file.about()
        assert about is not None
        self.cold.kept(about.fill, about.head.version)

    def apply_next(self) -> Version:
        """A changeset that touches no card."""
        self.item = changeset(head_of(self.item))
        self.replica.offer(*self.item)
        self.cold.apply(self.version, ())
        self.caches.reached(self.version)
        return self.version

    def purge(self, by: By, text: str, version: Version | None = None) -> None:
        what = Invalidation("entities", by, text)
        self.caches.purge(what, self.version if version is None else version)

    def find(self, key: str) -> bool:
        """Look a card up by its key; whether the cache answered."""
        before = self.cold.counters()["cold_cached"]
        found = self.cold.find_now(KIND, "key", key)
        assert found
        return self.cold.counters()["cold_cached"] > before


@pytest.fixture
def lookups(tmp_path: Path) -> Iterator[Lookups]:
    lookups = Lookups(tmp_path / "replica.db")
    lookups.write()
    yield lookups
    lookups.cold.close()
    lookups.file.close()


def next_after(version: Version) -> Version:
    return Version(version.epoch, version.tag, version.revision + 1)


@pytest.mark.parametrize(
    ("by", "text", "forgotten"),
    [
        (By.KEY, KEY, "a"),
        (By.KEY, f"{KIND}:a:::::0dfce969-e03d-4a2b-9d0a-0f1e2d3c4b5a", "a"),
        (By.KEY, f"{KIND}:b", "b"),
        (By.KEY, f"{KIND}:{card_id(3)}:::::", "c"),
        (By.KEY, f"{KIND}:none:::::", ""),
        (By.KEY, "services:a:::::", ""),
        (By.KEY, "nonsense", ""),
        (By.TAG, "mobile", ""),
        (By.ALL, "", "abc"),
    ],
)
def test_a_purge_forgets_what_it_names(lookups: Lookups, by: By, text: str, forgotten: str) -> None:
    for key in "abc":
        assert not lookups.find(key)
        assert lookups.find(key)
    lookups.purge(by, text)
    assert "".join(key for key in "abc" if not lookups.find(key)) == forgotten


def test_a_purge_by_a_reference_forgets_all_that_refer(lookups: Lookups) -> None:
    for key in "abc":
        lookups.find(key)
    assert len(lookups.cold.find_now(KIND, "consumer", "c0") or ()) == 2
    lookups.purge(By.KEY, f"{KIND}:c0:::::")
    assert [key for key in "abc" if not lookups.find(key)] == ["a", "b"]


def test_a_purge_by_tag_forgets_every_answer_with_an_entity_that_has_it(lookups: Lookups) -> None:
    card = keycard(4, "d")
    tagged = encode_entity({**decode_entity(card.entity or ""), "tags": ["mobile", "eu"]})
    lookups.item = changeset(head_of(lookups.item), card._replace(entity=tagged))
    lookups.replica.offer(*lookups.item)
    lookups.serve(lookups.version)
    lookups.write()
    for key in "ad":
        lookups.find(key)
        assert lookups.find(key)
    lookups.purge(By.TAG, "mobile")
    assert lookups.find("a")
    assert not lookups.find("d")


def test_what_is_cached_between_a_purge_and_its_version_is_purged_again_at_that(
    lookups: Lookups,
) -> None:
    """The purge has overtaken the write that it is about: the old answer is cached once more."""
    lookups.find("a")
    lookups.find("b")
    head = next_after(lookups.version)
    lookups.purge(By.KEY, KEY, head)
    assert not lookups.find("a"), "purged at once"
    assert lookups.find("a"), "and cached again, as it was before the write"
    assert lookups.apply_next() == head
    assert not lookups.find("a"), "purged again"
    assert lookups.find("a")
    assert lookups.find("b"), "and nothing else was"
    lookups.apply_next()
    assert lookups.find("a"), "once"
    assert lookups.caches.counters() == {"cache_purges": 1, "cache_purges_again": 1}


def test_a_whole_state_at_or_above_its_version_does_as_well(lookups: Lookups) -> None:
    head = next_after(lookups.version)
    lookups.purge(By.KEY, KEY, head)
    lookups.serve(next_after(head))
    assert lookups.caches.counters()["cache_purges_again"] == 1


@pytest.mark.parametrize("by", [By.KEY, By.TAG, By.ALL])
async def test_what_was_asked_for_before_a_purge_is_not_cached(tmp_path: Path, by: By) -> None:
    """The agent's answer may be of before what the purge is about."""
    lookups = Lookups(tmp_path / "replica.db")  # with a file that nobody has vouched for
    for purging in (True, False):
        finding = asyncio.create_task(lookups.cold.find(KIND, "key", "a"))
        while not lookups.asked:
            await asyncio.sleep(0)
        question = lookups.asked.pop()
        if purging:
            lookups.purge(by, KEY)
        rows = lookups.replica.rows_by(question.kind, question.field, question.value, 10)
        lookups.cold.told(Told(question.number, lookups.version, rows))
        assert len(await finding) == 1, "it is an answer all the same"
        assert (lookups.cold.peek(KEY) is None) is purging
    lookups.cold.close()
    lookups.file.close()


def test_other_caches_are_purged_by_their_name_alone() -> None:
    caches = Caches()
    one: list[tuple[By, str]] = []
    two: list[tuple[By, str]] = []
    caches.register("one", lambda by, text: one.append((by, text)))
    caches.register("two", lambda by, text: two.append((by, text)))
    for name in ("two", "three"):
        caches.purge(Invalidation(name, By.TAG, "x"), (0, 0, 0))
    assert (one, two) == ([], [(By.TAG, "x")])


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("keyauth_credentials:k:::::", "keyauth_credentials", ("k", "k:::::")),
        ("keyauth_credentials:k", "keyauth_credentials", ("k",)),
        ("keyauth_credentials:a:b:::::w", "keyauth_credentials", ("a:b", "a:b:::::w")),
        ("acls:c1:admins::::w", "acls", ("c1", "c1:admins::::w")),
        ("consumers:::::x", "consumers", ("::::x",)),
    ],
)
def test_keys_are_read_as_kong_writes_them(text: str, kind: str, values: tuple[str, ...]) -> None:
    assert read_cache_key(text) == CacheKey(kind, values)


async def test_a_worker_process_takes_purges_and_tells_what_it_has_cached() -> None:
    async with running() as worker:
        worker.send(Purge("entities", By.KEY, KEY, (1, 0, 2)))
        worker.send(Purge("another", By.ALL, "", (1, 0, 1)))
        worker.send(Peek(7, KEY))
        await worker.until(lambda: worker.peeked == [Peeked(7, None)])
        await worker.apply()
        await worker.counted("cache_purges", 2)
        await worker.counted("cache_purges_again")
