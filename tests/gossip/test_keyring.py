"""The keyring: what a change makes of it, which of two holds, and how it is kept."""

import random

import pytest

from gossip import limits
from gossip.identity import Identity
from gossip.keyring import (
    Keyring,
    KeyringRefused,
    configured,
    decode,
    encode,
    install,
    key_id,
    remove,
    unwrap,
    use,
    wrap,
)
from tests.gossip.drive import node_id

K1, K2, K3 = (bytes([number]) * 32 for number in (1, 2, 3))
ME, OTHER = Identity(node_id(1), 4, 11), Identity(node_id(2), 1, 7)


def test_a_rotation_installs_then_uses_then_removes() -> None:
    ring = configured(K1)
    installed = install(ring, K2, ME)
    assert installed == Keyring(1, ME.node_id, ME.tag, (K1, K2))
    used = use(installed, K2, ME)
    assert used.keys == (K2, K1)
    assert remove(used, K1, ME) == Keyring(3, ME.node_id, ME.tag, (K2,))


def test_of_two_keyrings_the_later_holds_and_of_two_authors_one() -> None:
    ring = configured(K1)
    mine, theirs = install(ring, K2, ME), install(ring, K3, OTHER)
    assert mine.newer_than(ring)
    assert not ring.newer_than(mine)
    assert theirs.newer_than(mine) is not mine.newer_than(theirs)
    assert not mine.newer_than(mine)


def test_what_changes_nothing_makes_no_new_keyring() -> None:
    ring = install(configured(K1), K2, ME)
    assert install(ring, K2, ME) is ring
    assert use(ring, K1, ME) is ring


def test_the_key_in_use_can_not_be_removed() -> None:
    with pytest.raises(KeyringRefused, match=f"key {key_id(K1)} is in use"):
        remove(configured(K1), K1, ME)


def test_a_key_is_found_by_its_id() -> None:
    ring = configured(K1, K2)
    assert ring.find(key_id(K2)) == K2
    assert ring.find(key_id(K2).upper()) == K2
    with pytest.raises(KeyringRefused, match=f"the keyring holds {key_id(K1)}"):
        ring.find("00000000")


@pytest.mark.parametrize("keys", [(), (b"short",), tuple(bytes([n]) * 32 for n in range(9))])
def test_keyrings_are_bounded(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(KeyringRefused):
        configured(*keys)


def test_a_key_whose_wire_id_is_taken_is_refused() -> None:
    rng = random.Random(1)
    seen: dict[str, bytes] = {}
    while True:
        key = rng.randbytes(32)
        other = seen.setdefault(key_id(key)[:4], key)
        if other != key:
            break
    with pytest.raises(KeyringRefused, match="too much alike"):
        install(configured(key), other, ME)


def test_a_keyring_is_read_as_it_was_written() -> None:
    for ring in (configured(K1), install(configured(K1), K2, ME)):
        assert decode(encode(ring)) == ring


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x94\x00\xc0\x00\x90",
        encode(configured(K1))[:-1],
        encode(Keyring(limits.COUNTER_MAX + 1, node_id(1), 0, (K1,))),
        encode(Keyring(1, node_id(1), 0, ())),
        encode(Keyring(1, node_id(1), 0, (b"short",))),
    ],
)
def test_what_is_no_keyring_is_refused(data: bytes) -> None:
    with pytest.raises(KeyringRefused):
        decode(data)


def test_a_stored_keyring_opens_under_its_key_only() -> None:
    ring = install(configured(K1), K2, ME)
    stored = wrap(ring, K3, b"s" * 16)
    assert unwrap(stored, K3) == ring
    assert K1 not in stored
    for damaged, kek in ((stored, K1), (stored[:-1], K3), (b"", K3), (bytes(len(stored)), K3)):
        with pytest.raises(KeyringRefused):
            unwrap(damaged, kek)
