"""Whole-state snapshots: what one replica gives and another installs, or refuses untouched."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from gossip.replica import Replica as WantedByGossip
from store.authority import Query, State
from store.canonical import encode_entity
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Replica
from store.snapshot_slices import SliceReader
from store.version import EMPTY, Head, Version

IDS = [str(uuid.UUID(int=number, version=4)) for number in range(40)]
HEAD = Head(Version(2, 7, 40), b"d" * 32)

entities = st.builds(
    lambda name, tags, **more: {"name": name, "tags": tags, **more},
    st.text(max_size=5),
    st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    service=st.none() | st.builds(lambda key: {"id": key}, st.sampled_from(IDS)),
)
states = st.dictionaries(
    st.tuples(st.sampled_from(["services", "routes", "newer", ""]), st.sampled_from([*IDS, ""])),
    entities.map(encode_entity),
    max_size=20,
)
slice_sizes = st.integers(1, 400)
Texts = dict[tuple[str, str], str]


def holding(texts: Texts, head: Head = HEAD) -> Replica:
    replica = Replica("a")
    replica.load(State(head, tuple(Change(*key, text) for key, text in texts.items())))
    return replica


def following(head: Head, *changes: Change) -> Changeset:
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


def content(replica: Replica) -> tuple[Head, list[Change]]:
    return Head(*replica.head()), list(replica.changes())


def hash_of(head: Head, slices: Sequence[bytes]) -> bytes:
    """The state hash of what slices hold, if they can be read."""
    reader = SliceReader(head)
    try:
        entities = [change for data in slices for change in reader.read(data)]
        return holding({change[:2]: change.entity or "" for change in entities}).state_hash() or b""
    except ValueError:
        return b""


def install(target: WantedByGossip, head: Head, slices: Sequence[bytes]) -> str:
    """Feed it all slices, as gossip does: until one is refused."""
    installation = target.begin_install(*head, hash_of(head, slices))
    if all(installation.feed(data) for data in slices):
        return installation.finish()
    installation.abandon()
    return "corrupt"


def sealed(head: Head, *payloads: object) -> list[bytes]:
    """Slices as another software might make them: whole, whatever is in them."""
    mark = blake3(msgpack.packb([list(head.version), head.digest])).digest()
    slices = []
    for payload in payloads:
        data = payload if isinstance(payload, bytes) else msgpack.packb(payload)
        mark = blake3(mark + data).digest()
        slices.append(mark + data)
    return slices


def test_gossip_can_take_and_install_snapshots() -> None:
    source: WantedByGossip = holding({("services", IDS[0]): "{}"})
    target: WantedByGossip = Replica("a")
    assert install(target, HEAD, list(source.give().slices(1))) == "installed"
    assert target.head() == HEAD


@given(states, slice_sizes)
def test_a_snapshot_of_any_state_installs_to_the_same_state(texts: Texts, size: int) -> None:
    source, target = holding(texts), holding({("services", IDS[39]): "{}"}, EMPTY)
    slices = list(source.give().slices(size))
    assert install(target, HEAD, slices) == "installed"
    assert content(target) == content(source)
    assert list(target.give().slices(size)) == slices
    for kind in ("services", "routes", "newer"):
        assert target.list(Query(kind)) == source.list(Query(kind))


@given(states, slice_sizes, st.randoms(use_true_random=False))
def test_slices_depend_on_the_state_alone(texts: Texts, size: int, rng: Any) -> None:
    items = list(texts.items())
    rng.shuffle(items)
    assert list(holding(dict(items)).give().slices(size)) == list(
        holding(texts).give().slices(size)
    )


@given(states, slice_sizes, st.data())
def test_damaged_slices_are_corrupt_and_change_nothing(
    texts: Texts, size: int, data: st.DataObject
) -> None:
    slices = list(holding(texts).give().slices(size))
    number = data.draw(st.integers(0, len(slices) - 1), "slice")
    position = data.draw(st.integers(0, len(slices[number]) - 1), "position")
    flipped = bytearray(slices[number])
    flipped[position] ^= data.draw(st.integers(1, 255), "flip")
    damages = {
        "flipped": [*slices[:number], bytes(flipped), *slices[number + 1 :]],
        "shortened": [*slices[:number], slices[number][:position], *slices[number + 1 :]],
        "missing": [*slices[:number], *slices[number + 1 :]],
        "twice": [*slices[: number + 1], *slices[number:]],
        "more": [*slices, b"more"],
        "moved": [*slices[number:], *slices[:number]],
    }
    if number == 0:
        del damages["moved"]
    target = holding({("services", IDS[39]): "{}"}, EMPTY)
    before = content(target)
    for damage, damaged in damages.items():
        assert install(target, HEAD, damaged) == "corrupt", damage
        assert content(target) == before
    assert install(target, HEAD, slices) == "installed"


def test_a_snapshot_of_another_head_is_corrupt() -> None:
    slices = list(holding({("services", IDS[0]): "{}"}).give().slices(100))
    target = Replica("a")
    assert install(target, HEAD._replace(digest=b"x" * 32), slices) == "corrupt"
    assert install(target, Head(Version(2, 7, 41), HEAD.digest), slices) == "corrupt"
    assert target.head() == EMPTY


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\xc1"],
        [None],
        [[]],
        [[True]],
        [[True, 7]],
        [[1, []]],
        [[False, []]],
        [[True, []], [True, []]],
        [[True, [["services", IDS[0]]]]],
        [[True, [["services", IDS[0], None]]]],
        [[True, [["services", 7, "{}"]]]],
        [[True, [["services", IDS[0], "no json"]]]],
        [[True, [["services", IDS[0], "[]"]]]],
        [[True, [["services", IDS[1], "{}"], ["services", IDS[0], "{}"]]]],
        [[False, [["services", IDS[0], "{}"]]], [True, [["services", IDS[0], "{}"]]]],
    ],
)
def test_a_whole_snapshot_of_nonsense_is_corrupt_and_changes_nothing(payloads: list[Any]) -> None:
    target = holding({("services", IDS[39]): "{}"}, EMPTY)
    before = content(target)
    assert install(target, HEAD, sealed(HEAD, *payloads)) == "corrupt"
    assert content(target) == before


def test_later_fields_are_ignored() -> None:
    target = Replica("a")
    payload = [True, [["services", IDS[0], "{}", "later"]], "later"]
    assert install(target, HEAD, sealed(HEAD, payload)) == "installed"
    assert [change.id for change in target.changes()] == [IDS[0]]


def test_a_version_that_is_not_above_the_head_is_stale() -> None:
    target = holding({("services", IDS[39]): "{}"}, HEAD)
    before = content(target)
    for version in (HEAD.version, Version(2, 7, 39), Version(2, 6, 99), Version(1, 9, 99)):
        head = Head(version, b"o" * 32)
        assert install(target, head, list(holding({}, head).give().slices(1))) == "stale"
    assert content(target) == before
    above = Head(Version(2, 8, 1), b"o" * 32)
    assert install(target, above, list(holding({}, above).give().slices(1))) == "installed"


def test_an_empty_state_is_one_slice() -> None:
    source, target = holding({}), holding({("services", IDS[39]): "{}"}, EMPTY)
    slices = list(source.give().slices(100))
    assert len(slices) == 1
    assert install(target, HEAD, slices) == "installed"
    assert len(target) == 0


def test_slices_are_about_as_large_as_asked_for() -> None:
    texts = {("services", key): encode_entity({"name": "x" * 100}) for key in IDS}
    slices = list(holding(texts).give().slices(1_000))
    assert len(slices) > 4
    assert all(1_000 <= len(data) < 1_300 for data in slices[:-1])


def test_what_is_applied_after_the_call_does_not_show() -> None:
    source = holding({("services", key): "{}" for key in IDS[:10]})
    expected = list(source.give().slices(1))
    snapshot = source.give().slices(1)
    changes = [
        Change("services", IDS[0], None),
        Change("services", IDS[1], '{"name":"new"}'),
        Change("routes", IDS[2], "{}"),
    ]
    assert source.offer(*following(HEAD, *changes)) == "applied"
    first = next(snapshot)
    source.load(State(EMPTY, ()))
    assert [first, *snapshot] == expected


def test_after_it_the_log_begins_at_its_head() -> None:
    target = Replica("a")
    assert install(target, HEAD, list(holding({}).give().slices(1))) == "installed"
    assert target.changesets(*EMPTY, max_bytes=1) is None
    assert target.changesets(*HEAD, max_bytes=1) == []
    item = following(HEAD, Change("services", IDS[0], "{}"))
    assert target.offer(*item) == "applied"
    assert target.changesets(*HEAD, max_bytes=1) == [item]
