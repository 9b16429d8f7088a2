"""The state hash: its vectors, and that it depends on what is held and on nothing else."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.contents import PinnedState
from store.limits import STATE_HASHES_MAX
from store.replica import Replica
from store.state_hash import SUM_BYTES, StateSum, element, identify
from store.state_hashes import StateHashes
from store.version import EMPTY, Head, Version

GOLDEN = json.loads((Path(__file__).parent / "state_hash.json").read_text())

Key = tuple[str, str]
keys = st.tuples(st.sampled_from(["services", "routes", "späť"]), st.sampled_from("abcdefg"))
states = st.dictionaries(keys, st.sampled_from(['{"n":1}', '{"n":2}', '{"n":"é"}']), max_size=12)


def hashed(entities: list[tuple[Key, str]]) -> bytes:
    total = StateSum()
    for key, text in entities:
        total.add(element(identify(*key, text.encode())))
    return total.digest()


def replica_of(texts: dict[Key, str], revision: int = 1) -> Replica:
    replica = Replica("a")
    head = Head(Version(1, 7, revision), b"d" * 32)
    replica.load(State(head, tuple(Change(*key, text) for key, text in texts.items())))
    return replica


def following(head: Head, *changes: Change) -> Changeset:
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


def by_the_letter(entities: list[tuple[Key, str]]) -> bytes:
    """The state hash as the definition words it, lane by lane."""
    lanes = [0] * 1024
    for (kind, entity_id), text in entities:
        message = b""
        for part in (kind.encode(), entity_id.encode(), blake3(text.encode()).digest()):
            message += struct.pack("<I", len(part)) + part
        added = struct.unpack("<1024H", blake3(message).digest(length=2048))
        lanes = [(lane + more) % 2**16 for lane, more in zip(lanes, added, strict=True)]
    return blake3(struct.pack("<1024H", *lanes)).digest()


@pytest.mark.parametrize("vector", GOLDEN["states"], ids=lambda vector: vector["what"])
def test_states_have_the_hashes_that_every_version_agrees_on(vector: dict[str, Any]) -> None:
    entities = [((kind, entity_id), text) for kind, entity_id, text in vector["entities"]]
    assert hashed(entities).hex() == vector["state_hash"]


@pytest.mark.parametrize("vector", GOLDEN["elements"], ids=lambda vector: vector["kind"] or "empty")
def test_elements_have_the_lanes_that_every_version_agrees_on(vector: dict[str, Any]) -> None:
    total = StateSum()
    total.add(element(identify(vector["kind"], vector["id"], vector["text"].encode())))
    assert len(total.lanes()) == SUM_BYTES
    assert list(struct.unpack("<1024H", total.lanes())[:8]) == vector["first_lanes"]
    assert blake3(total.lanes()).hexdigest() == vector["blake3_of_lanes"]


@given(states)
def test_it_is_what_the_definition_says(texts: dict[Key, str]) -> None:
    assert hashed(list(texts.items())) == by_the_letter(list(texts.items()))


@given(states, st.randoms(use_true_random=False))
def test_order_does_not_matter(texts: dict[Key, str], rng: Any) -> None:
    items = list(texts.items())
    rng.shuffle(items)
    assert hashed(items) == hashed(list(texts.items()))


@given(states, states)
def test_different_states_have_different_hashes(one: dict[Key, str], other: dict[Key, str]) -> None:
    assert (hashed(list(one.items())) == hashed(list(other.items()))) == (one == other)


@given(states, states)
def test_what_is_added_and_subtracted_again_leaves_no_trace(
    stay: dict[Key, str], pass_by: dict[Key, str]
) -> None:
    total = StateSum()
    for key, text in stay.items():
        total.add(element(identify(*key, text.encode())))
    before = total.lanes()
    for key, text in pass_by.items():
        total.subtract(element(identify(*key, text.encode())))
    for key, text in pass_by.items():
        total.add(element(identify(*key, text.encode())))
    assert total.lanes() == before


def test_a_multiset_counts_how_often() -> None:
    once, twice = StateSum(), StateSum()
    one = element(identify("services", "a", b"{}"))
    once.add(one)
    for _ in range(2):
        twice.add(one)
    assert once.digest() != twice.digest()
    twice.subtract(one)
    assert once.digest() == twice.digest()


def test_lanes_keep_apart_however_many_are_added() -> None:
    total, count = StateSum(), 2**16 + 10
    highest = 2 ** (8 * SUM_BYTES) - 1
    for _ in range(count):
        total.add(highest)
    assert set(struct.unpack("<1024H", total.lanes())) == {count * 0xFFFF % 2**16}
    for _ in range(count):
        total.subtract(0)
    assert set(struct.unpack("<1024H", total.lanes())) == {count * 0xFFFF % 2**16}
    for _ in range(count):
        total.subtract(highest)
    assert total.lanes() == bytes(SUM_BYTES)


def test_fields_do_not_run_into_each_other() -> None:
    splits = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", "")]
    lanes = {element(identify(kind, entity_id, b"{}")) for kind, entity_id in splits}
    assert len(lanes) == 4


@settings(max_examples=50)
@given(states, st.lists(st.lists(st.tuples(keys, st.none() | st.just('{"n":3}')), max_size=5)))
def test_after_any_replay_it_is_that_of_the_state_from_scratch(
    start: dict[Key, str], history: list[list[tuple[Key, str | None]]]
) -> None:
    replica = replica_of(start)
    model = dict(start)
    for transaction in history:
        final = dict(transaction)
        changes = [Change(*key, text) for key, text in final.items()]
        assert replica.offer(*following(Head(*replica.head()), *changes)) == "applied"
        model = {key: text for key, text in model.items() if key not in final}
        model |= {key: text for key, text in final.items() if text is not None}
        assert replica.state_hash() == hashed(list(model.items()))
        assert replica.state_hash() == replica_of(model).state_hash()


def test_those_of_earlier_versions_are_remembered() -> None:
    replica = Replica("a")
    head, expected = EMPTY, {EMPTY.version: hashed([])}
    for number in range(5):
        item = following(
            head._replace(version=head.version._replace(epoch=1)), Change("x", str(number), "{}")
        )
        assert replica.offer(*item) == "applied"
        head = Head(item.version, item.digest)
        held = [(("x", str(each)), "{}") for each in range(number + 1)]
        expected[head.version] = hashed(held)
    assert {version: replica.state_hash(version) for version in expected} == expected
    assert replica.state_hash() == expected[head.version]
    assert replica.state_hash((1, 0, 99)) is None
    assert replica.state_hash((2, 0, 3)) is None


def test_the_oldest_are_forgotten_beyond_the_bound() -> None:
    hashes = StateHashes(Version(1, 7, 0), b"0")
    for revision in range(1, STATE_HASHES_MAX + 3):
        hashes.note(Version(1, 7, revision), str(revision).encode())
    assert hashes.of(Version(1, 7, 2)) is None
    assert hashes.of(Version(1, 7, 3)) == b"3"
    assert hashes.of(Version(1, 7, STATE_HASHES_MAX + 2)) == str(STATE_HASHES_MAX + 2).encode()


def test_a_whole_state_begins_anew() -> None:
    replica = replica_of({("x", "a"): "{}"}, revision=5)
    replica.load(State(Head(Version(1, 7, 3), b"e" * 32), (Change("x", "b", "{}"),)))
    assert replica.state_hash((1, 7, 5)) is None
    assert replica.state_hash((1, 7, 3)) == hashed([(("x", "b"), "{}")])


@given(states, states)
def test_a_snapshot_is_served_only_with_the_state_hash_that_was_asked_for(
    texts: dict[Key, str], others: dict[Key, str]
) -> None:
    source, target = replica_of(texts), Replica("a")
    expected = replica_of(others).state_hash() or b""
    installation = target.begin_install(*source.head(), state_hash=expected)
    assert all(installation.feed(data) for data in source.give().slices(100))
    assert installation.finish() == ("installed" if texts == others else "corrupt")
    assert target.head() == (source.head() if texts == others else EMPTY)


def test_an_audit_hashes_what_is_really_there() -> None:
    replica = replica_of({("x", f"{number:04d}"): "{}" for number in range(1_000)})
    assert verdict(replica.pin()) == (3, True)
    chunk = replica._contents._tables["x"]._rows._chunks[0]
    chunk.texts[5] = b"[]"  # a bit flips, or a change was put into effect by halves
    assert verdict(replica.pin()) == (3, False)


def verdict(state: PinnedState) -> tuple[int, bool]:
    """The steps that an audit took, and what came of it."""
    audit, steps = state.audit(), 0
    while True:
        try:
            next(audit)
        except StopIteration as end:
            return steps, end.value
        steps += 1
