"""Consistent hashing: the same value at the same address, and little movement."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.proxy.balancing.consistent_hashing import ConsistentHashing
from node.proxy.balancing.peer import Peer
from node.proxy.balancing.xxhash32 import xxhash32
from tests.proxy.balancing.peers import always, peer, peers

VALUES = [f"client-{number}".encode() for number in range(600)]


def made(given_peers: list[Peer], slots: int = 10_000) -> ConsistentHashing:
    algorithm = ConsistentHashing(slots)
    algorithm.update(given_peers, 0.0)
    return algorithm


def mapping(algorithm: ConsistentHashing) -> dict[bytes, Peer]:
    chosen = {value: algorithm.choose(always, value, 0.0) for value in VALUES}
    return {value: one for value, one in chosen.items() if one is not None}


@pytest.mark.parametrize(
    ("data", "hash_of_it"),
    [
        (b"", 0x02CC5D05),
        (b"a", 0x550D7456),
        (b"abc", 0x32D153FF),
        (b"Nobody inspects the spammish repetition", 0xE2293B2F),
    ],
)
def test_known_hashes(data: bytes, hash_of_it: int) -> None:
    assert xxhash32(data) == hash_of_it


@given(st.permutations(range(5)))
@settings(max_examples=10)
def test_the_order_of_targets_does_not_matter(order: list[int]) -> None:
    shuffled = made([peer(number) for number in order])
    assert mapping(shuffled) == mapping(made(peers([100] * 5)))


@given(st.integers(2, 8), st.data())
@settings(max_examples=15)
def test_when_a_target_goes_hardly_any_values_move_but_its_own(
    count: int, data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, count - 1))
    before = mapping(made(peers([100] * count)))
    after = mapping(made([one for one in peers([100] * count) if one != peer(gone)]))
    moved = [value for value in VALUES if before[value] != after[value]]
    beside = [value for value in moved if before[value] != peer(gone)]
    # Slots that two had wanted, and the shares, which Kong rounds by the number of targets.
    assert len(beside) <= len(VALUES) * 0.06
    assert len(moved) <= len(VALUES) * (1 / count + 0.2)


@given(st.integers(2, 8), st.data())
@settings(max_examples=15)
def test_while_a_target_can_not_be_used_only_its_own_values_move(
    count: int, data: st.DataObject
) -> None:
    out = peer(data.draw(st.integers(0, count - 1)))
    algorithm = made(peers([100] * count))
    for value, before in mapping(algorithm).items():
        chosen = algorithm.choose(lambda one: one != out, value, 0.0)
        assert chosen != out
        assert before in (chosen, out)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_each_target_takes_160_slots_as_in_kong(count: int) -> None:
    algorithm = made(peers([100] * count))
    algorithm.choose(always, b"", 0.0)
    assert set(Counter(algorithm._owners).values()) == {160}
    names = [f"10.0.0.1::80 {number}".encode() for number in range(1, 161)]
    slots = {xxhash32(name) % 10_000 for name in names}
    own = [
        slot
        for slot, owner in zip(algorithm._taken, algorithm._owners, strict=True)
        if owner == peer(0)
    ]
    assert slots <= set(own), "those of the first in order are where its names say"


def test_shares_follow_the_weights() -> None:
    shares = Counter(one.weight for one in mapping(made(peers([100, 300]))).values())
    assert 0.65 < shares[300] / len(VALUES) < 0.85


def test_weight_0_gets_nothing_and_nothing_at_all_is_none() -> None:
    assert set(mapping(made(peers([0, 100, 0]))).values()) == {peer(1)}
    assert mapping(made(peers([0, 0]))) == {}
    assert mapping(made([])) == {}
    assert made(peers([1, 1])).choose(lambda one: False, b"x", 0.0) is None


@pytest.mark.parametrize("count", [70, 300, 1200])
def test_more_targets_than_the_ring_was_made_for_all_get_some(count: int) -> None:
    algorithm = made(peers([100] * count), slots=10)  # 1,000 are the least that Kong takes
    owners = set(algorithm._owners) if algorithm.choose(always, b"", 0.0) else set()
    assert len(owners) >= min(count, 1_000) * 0.95


def test_a_change_hashes_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    from node.proxy.balancing import consistent_hashing

    hashed: list[bytes] = []

    def counting(data: bytes) -> int:
        hashed.append(data)
        return xxhash32(data)

    monkeypatch.setattr(consistent_hashing, "xxhash32", counting)
    algorithm = made(peers([100] * 10))
    algorithm.choose(always, b"", 0.0)
    hashed.clear()
    algorithm.update(peers([100] * 11), 1.0)
    algorithm.choose(always, b"", 0.0)
    assert len([name for name in hashed if name.startswith(b"10.0.0.11:")]) >= 160
    assert len(hashed) < 240
