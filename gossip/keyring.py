"""The cluster's keys: which are valid, and which one is sent under.

A keyring is a register: every change makes a new one with a higher counter, and of two the greater
(counter, author, tag) holds, so that all members end with the same whichever way they hear of it.
It travels sealed, on heartbeats only its counter does (``gossip.sessions``).

A rotation without a dropped packet installs the new key everywhere, then sends under it, then
removes the old one (hashicorp/serf's order). Who misses all of it comes back with keys that nobody
knows, and needs the keyring from where it is kept: the authority, or an operator
(hashicorp/consul#719).
"""

import hashlib
from typing import NamedTuple

import msgpack
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossip import limits
from gossip.identity import Identity, node_id_bytes, node_id_text

KEY_BYTES = 32
WRAP_SALT_BYTES = 16


class KeyringRefused(ValueError):
    """A change that can't be made; the message is for the operator."""


class Keyring(NamedTuple):
    """All keys under which something may be read. Never empty."""

    counter: int
    """0 for keys that were only configured; each change adds one. At most 2^62."""
    author: str
    """Node id of who made the change; empty at counter 0."""
    tag: int
    """Its process tag."""
    keys: tuple[bytes, ...]
    """Each 32 bytes. The first is the one to send under."""

    def newer_than(self, other: "Keyring") -> bool:
        """Whether this one holds where the two meet."""
        return self[:3] > other[:3]

    @property
    def mark(self) -> tuple[int, int]:
        """What heartbeats say of it: the counter and, once it was changed, a byte of its digest."""
        if self.counter == 0:
            return 0, 0
        return self.counter, hashlib.blake2b(encode(self), digest_size=1).digest()[0]

    def find(self, shown_id: str) -> bytes:
        """The key with that id. Raises KeyringRefused."""
        for key in self.keys:
            if key_id(key) == shown_id.lower():
                return key
        known = ", ".join(map(key_id, self.keys))
        raise KeyringRefused(f"no key with the id '{shown_id}'; the keyring holds {known}")


def configured(*keys: bytes) -> Keyring:
    """The keyring of a node that was told its keys, the one to send under first.

    Raises KeyringRefused for none, too many, or a key of another length.
    """
    keyring = Keyring(0, "", 0, tuple(dict.fromkeys(keys)))
    _check(keyring.keys)
    return keyring


def key_id(key: bytes) -> str:
    """What names a key in commands and logs: 8 hexadecimal digits, which tell nothing of it."""
    return hashlib.blake2b(key, digest_size=4, person=b"grapevine-keyid").hexdigest()


def wire_key_id(key: bytes) -> bytes:
    """What names a key in envelopes: the first 2 bytes of its id. Unambiguous within a keyring."""
    return bytes.fromhex(key_id(key)[:4])


def install(keyring: Keyring, key: bytes, by: Identity) -> Keyring:
    """With one more key, to read by. Raises KeyringRefused."""
    if key in keyring.keys:
        return keyring
    return _changed(keyring, (*keyring.keys, key), by)


def use(keyring: Keyring, key: bytes, by: Identity) -> Keyring:
    """Send under this key of the ring from now on."""
    if keyring.keys[0] == key:
        return keyring
    return _changed(keyring, (key, *(other for other in keyring.keys if other != key)), by)


def remove(keyring: Keyring, key: bytes, by: Identity) -> Keyring:
    """Without this key. Raises KeyringRefused for the one that is sent under."""
    if keyring.keys[0] == key:
        raise KeyringRefused(f"key {key_id(key)} is in use; use another one first")
    return _changed(keyring, tuple(other for other in keyring.keys if other != key), by)


def encode(keyring: Keyring) -> bytes:
    """For the wire, inside a seal."""
    packed: bytes = msgpack.packb(
        [keyring.counter, node_id_bytes(keyring.author), keyring.tag, list(keyring.keys)]
    )
    return packed


def decode(data: bytes) -> Keyring:
    """The inverse of ``encode``. Raises KeyringRefused for anything else."""
    try:
        fields = msgpack.unpackb(data, use_list=False, max_array_len=limits.PART_FIELDS_MAX)
        counter, author, tag, keys = fields
        if not 0 <= counter <= limits.COUNTER_MAX or not 0 <= tag <= limits.TAG_MAX:
            raise ValueError("a number out of range")
        if type(author) is not bytes or len(author) != 16:
            raise ValueError("no author")
        keyring = Keyring(int(counter), node_id_text(author), int(tag), tuple(keys))
    except (ValueError, TypeError) as error:
        raise KeyringRefused(f"no keyring: {error}") from error
    _check(keyring.keys)
    return keyring


def wrap(keyring: Keyring, kek: bytes, salt: bytes) -> bytes:
    """For storage: sealed under a key-encryption key of 32 bytes; ``salt`` is 16 fresh random
    bytes."""
    return salt + _wrapping_key(kek, salt).encrypt(bytes(12), encode(keyring), None)


def unwrap(data: bytes, kek: bytes) -> Keyring:
    """The inverse of ``wrap``. Raises KeyringRefused when the key-encryption key is another one."""
    salt, sealed = data[:WRAP_SALT_BYTES], data[WRAP_SALT_BYTES:]
    try:
        return decode(_wrapping_key(kek, salt).decrypt(bytes(12), sealed, None))
    except (InvalidTag, ValueError) as error:
        raise KeyringRefused("the keyring is damaged or wrapped under another key") from error


def _wrapping_key(kek: bytes, salt: bytes) -> AESGCM:
    """A key of its own for every wrapping, so that the nonce may be constant."""
    hkdf = HKDF(hashes.SHA256(), length=KEY_BYTES, salt=salt, info=b"grapevine keyring")
    return AESGCM(hkdf.derive(kek))


def _changed(keyring: Keyring, keys: tuple[bytes, ...], by: Identity) -> Keyring:
    _check(keys)
    return Keyring(keyring.counter + 1, by.node_id, by.tag, keys)


def _check(keys: tuple[bytes, ...]) -> None:
    if not 1 <= len(keys) <= limits.KEYS_MAX:
        raise KeyringRefused(f"{len(keys)} keys; a keyring holds 1 to {limits.KEYS_MAX}")
    for key in keys:
        if type(key) is not bytes or len(key) != KEY_BYTES:
            raise KeyringRefused(f"a key has {KEY_BYTES} bytes, in base64 {4 * KEY_BYTES // 3 + 2}")
    if len({wire_key_id(key) for key in keys}) != len(keys):
        raise KeyringRefused("two keys with ids too much alike; make another one with keygen")
