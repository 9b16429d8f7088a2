"""Sealing: packets and frames under the cluster key (AES-256-GCM).

Each process has a sending key of its own, so that a counter can be the nonce without any agreement:

    key   = HKDF-SHA256(cluster key, salt = 16 bytes drawn by the process, info = sender wire id)
    nonce = 4 zero bytes || counter (8 bytes, from 1)

    sealed body = key id (4) || salt (16) || counter (8) || ciphertext and tag

The clear header (cluster, sender, receiver, versions), the key id and whether it is a packet or a
frame are associated data: nothing of them can be altered. Receivers keep a window of counters
seen for each sending key; packets and frames have one each, since frames may be long under way.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossip import limits
from gossip.identity import WireId
from gossip.wire import Rejected

KEY_BYTES = 32
SALT_BYTES = 16
WINDOW = 4_096
"""How far below the highest counter seen a packet may arrive. Reordering spans a few packets; a
frame overtaken by many others is what needs this much."""

_PREFIX = 4 + SALT_BYTES + 8


@dataclass(slots=True)
class _Window:
    """Which counters were seen: the highest, and a bit for each of the WINDOW below it."""

    highest: int = 0
    seen: int = 0

    def admit(self, counter: int) -> bool:
        """Whether this counter is seen for the first time."""
        if counter > self.highest:
            shift = counter - self.highest
            self.seen = ((self.seen << shift) | 1) & _MASK if shift < WINDOW else 1
            self.highest = counter
            return True
        bit = 1 << (self.highest - counter)
        if self.highest - counter >= WINDOW or self.seen & bit:
            return False
        self.seen |= bit
        return True


_MASK = (1 << WINDOW) - 1


@dataclass(slots=True)
class _Sender:
    """A sending key of another process, and what was seen under it."""

    key: AESGCM
    packets: _Window = field(default_factory=_Window)
    frames: _Window = field(default_factory=_Window)


class Seal:
    """Seals what this process sends and opens what others sent."""

    def __init__(self, cluster_key: bytes, sender: WireId, salt: bytes) -> None:
        if len(cluster_key) != KEY_BYTES:
            raise ValueError(
                f"the cluster key has {len(cluster_key)} bytes; {KEY_BYTES} are needed"
            )
        if len(salt) != SALT_BYTES:
            raise ValueError(f"the salt has {len(salt)} bytes; {SALT_BYTES} are needed")
        self._cluster_key = cluster_key
        self._key_id = hashlib.blake2b(
            cluster_key, digest_size=4, person=b"grapevine-keyid"
        ).digest()
        self._salt = salt
        self._key = self._derive(sender, salt)
        self._counter = 0
        self._senders: OrderedDict[tuple[WireId, bytes], _Sender] = OrderedDict()

    def seal(self, header: bytes, body: bytes, *, frame: bool) -> bytes:
        """What follows the header on the wire. Every call uses a new nonce."""
        self._counter += 1
        counter = self._counter.to_bytes(8, "big")
        sealed = self._key.encrypt(
            bytes(4) + counter, body, _associated(header, self._key_id, frame)
        )
        return self._key_id + self._salt + counter + sealed

    def open(self, header: bytes, sender: WireId, sealed: bytes, *, frame: bool) -> bytes:
        """The body. Raises Rejected: another key, forged, or seen before."""
        if len(sealed) < limits.SEAL_BYTES:
            raise Rejected("dropped_garbage")
        key_id, salt = sealed[:4], sealed[4 : 4 + SALT_BYTES]
        counter = sealed[4 + SALT_BYTES : _PREFIX]
        if key_id != self._key_id:
            raise Rejected("dropped_unknown_key")
        known = self._senders.get((sender, salt))
        other = known or _Sender(self._derive(sender, salt))
        try:
            body = other.key.decrypt(
                bytes(4) + counter, sealed[_PREFIX:], _associated(header, key_id, frame)
            )
        except InvalidTag:
            raise Rejected("dropped_forged") from None
        # Only now: what doesn't authenticate must leave no trace in memory.
        self._remember(sender, salt, other)
        window = other.frames if frame else other.packets
        if not window.admit(int.from_bytes(counter, "big")):
            raise Rejected("dropped_replayed")
        return body

    def _remember(self, sender: WireId, salt: bytes, other: _Sender) -> None:
        self._senders[sender, salt] = other
        self._senders.move_to_end((sender, salt))
        if len(self._senders) > limits.SENDERS_SEALED_MAX:
            self._senders.popitem(last=False)

    def _derive(self, sender: WireId, salt: bytes) -> AESGCM:
        hkdf = HKDF(hashes.SHA256(), length=KEY_BYTES, salt=salt, info=sender)
        return AESGCM(hkdf.derive(self._cluster_key))


def _associated(header: bytes, key_id: bytes, frame: bool) -> bytes:
    return header + key_id + (b"F" if frame else b"P")
