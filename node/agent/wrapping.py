"""How the keyring is kept in the authority and in the prefix: sealed, once under each of some keys.

A copy for the key that the writer was configured with (else for the authority's own), so that a
dump of the database or a stolen prefix gives no newer keys to who has only that. And a copy for
every key of the ring, so that a node whose configuration names any of them opens it: then
configured keys may be replaced node by node, and a key that was removed from the ring and from the
configuration opens nothing that is written after that.
"""

from collections.abc import Callable, Iterable, Mapping

import msgpack
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossip.keyring import (
    KEY_BYTES,
    WRAP_SALT_BYTES,
    Keyring,
    KeyringRefused,
    key_id,
    unwrap,
    wrap,
)
from gossip.limits import KEYS_MAX
from store.limits import KEYRING_BYTES_MAX

COPIES_MAX = KEYS_MAX + 1
"""One for each key of a ring, and one for the key that was configured."""


def wrap_for(keyring: Keyring, keys: Iterable[bytes], draw: Callable[[int], bytes]) -> bytes:
    """The keyring, to be opened by any of these keys; ``draw`` gives n fresh random bytes."""
    copies = {}
    for key in keys:
        kek = _wrapping_key(key)
        copies[key_id(kek)] = wrap(keyring, kek, draw(WRAP_SALT_BYTES))
    packed: bytes = msgpack.packb(copies)
    return packed


def open_with(wrapped: bytes, keys: Iterable[bytes]) -> Keyring:
    """The keyring, by the first of these keys that opens it. Raises KeyringRefused."""
    copies = _copies(wrapped)
    for key in keys:
        kek = _wrapping_key(key)
        copy = copies.get(key_id(kek))
        if copy is not None:
            return unwrap(copy, kek)
    raise KeyringRefused("none of the keys that are known here opens it")


def is_wrapped_for(wrapped: bytes, keys: Iterable[bytes]) -> bool:
    """Whether these keys have a copy, and no others."""
    try:
        return _copies(wrapped).keys() == {key_id(_wrapping_key(key)) for key in keys}
    except KeyringRefused:
        return False


def _wrapping_key(key: bytes) -> bytes:
    """Apart from whatever else a cluster key is used for."""
    hkdf = HKDF(hashes.SHA256(), length=KEY_BYTES, salt=None, info=b"grapevine keyring at rest")
    return hkdf.derive(key)


def _copies(wrapped: bytes) -> Mapping[str, bytes]:
    try:
        if len(wrapped) > KEYRING_BYTES_MAX:
            raise ValueError(f"it has {len(wrapped)} bytes")
        copies = msgpack.unpackb(wrapped, max_map_len=COPIES_MAX)
        if not isinstance(copies, dict) or not all(
            isinstance(name, str) and isinstance(copy, bytes) for name, copy in copies.items()
        ):
            raise ValueError("it isn't what a node writes")
    except (ValueError, TypeError) as error:
        raise KeyringRefused(f"the keyring is damaged: {error}") from error
    return copies
