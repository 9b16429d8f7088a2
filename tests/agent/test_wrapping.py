"""How the keyring is kept: who can open it, and who can't."""

import itertools

import msgpack
import pytest

from gossip.identity import Identity
from gossip.keyring import Keyring, KeyringRefused, configured, install
from node.agent.wrapping import COPIES_MAX, is_wrapped_for, open_with, wrap_for
from store.limits import KEYRING_BYTES_MAX

K1, K2, K3 = (bytes([number]) * 32 for number in (1, 2, 3))
RING = install(configured(K1), K2, Identity("5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", 1, 7))


def wrapped(*keys: bytes, ring: Keyring = RING) -> bytes:
    numbers = itertools.count()
    return wrap_for(ring, keys, lambda n: next(numbers).to_bytes(n, "big"))


@pytest.mark.parametrize("key", [K1, K2])
def test_any_of_its_keys_opens_it(key: bytes) -> None:
    assert open_with(wrapped(K1, K2), [K3, key]) == RING


def test_no_other_key_opens_it_and_it_shows_none() -> None:
    data = wrapped(K1, K2)
    with pytest.raises(KeyringRefused, match="none of the keys"):
        open_with(data, [K3])
    with pytest.raises(KeyringRefused, match="none of the keys"):
        open_with(data, [])
    assert K1 not in data
    assert K2 not in data


def test_for_whom_it_is_wrapped_can_be_told() -> None:
    data = wrapped(K1, K2)
    assert is_wrapped_for(data, [K2, K1])
    assert not is_wrapped_for(data, [K1])
    assert not is_wrapped_for(data, [K1, K2, K3])
    assert not is_wrapped_for(b"", [K1])


def test_the_largest_keyring_fits_its_place() -> None:
    keys = [bytes([number]) * 32 for number in range(1, COPIES_MAX)]
    ring = Keyring(2**62, RING.author, 2**64 - 1, tuple(keys))
    data = wrapped(*keys, bytes(32), ring=ring)
    assert len(data) <= KEYRING_BYTES_MAX
    assert open_with(data, [bytes(32)]) == ring


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb([]),
        msgpack.packb({1: b""}),
        msgpack.packb({"x": 1}),
        msgpack.packb({str(number): b"" for number in range(COPIES_MAX + 1)}),
        bytes(KEYRING_BYTES_MAX + 1),
        *(wrapped(K1)[:cut] for cut in range(1, 40, 7)),
    ],
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(KeyringRefused):
        open_with(data, [K1])


@pytest.mark.parametrize("place", range(0, len(wrapped(K1)), 5))
def test_a_flipped_bit_is_noticed(place: int) -> None:
    data = bytearray(wrapped(K1))
    data[place] ^= 1
    with pytest.raises(KeyringRefused):
        open_with(bytes(data), [K1])
