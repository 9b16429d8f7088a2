"""Sealing: packets and frames under a key of the cluster (AES-256-GCM).

Each process has sending keys of its own, so that a counter can be the nonce without any agreement:

    key     = HKDF-SHA256(cluster key, salt = 16 bytes drawn by the process,
                          info = sender's wire id || binding)
    nonce   = 6 zero bytes || counter
    binding = digest of the cluster name, 32 bytes (``gossip.wire.cluster_binding``)

The counter (6 bytes, from 1) is one for the whole life of a salt: over all cluster keys, packets
and frames. At its end the process draws a new salt. After the clear header follows, by form:

    form            prefix                                                        ciphertext of
    1 sealed        key id (2), salt id (4), counter (6)                          parts
    2 asking        key id (2), salt id (4), counter (6)                          nonce (16), parts
    3 challenge     key id (2), salt (16), counter (6), question (4)              nonce (16)
    4 proof         key id (2), salt (16), counter (6)                            nonce (16), parts

and a tag of 16. The salt id is a digest of the salt, the question the end of the counter of what is
challenged. Associated data, none of which can be altered:
header, prefix, binding, the receiver's whole wire id (zeros when the header has zeros), "P" for a
packet or "F" for a frame, and in a proof the nonce that it answers, which so needn't travel.

What the forms are for is in ``gossip.sessions`` and ``gossip.stream_sessions``. Here: keys, replay
windows, and taking envelopes apart.
"""

import hashlib
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gossip.identity import NOBODY, WIRE_ID_BYTES, WireId
from gossip.keyring import KEY_BYTES, Keyring, wire_key_id
from gossip.wire import CHALLENGE, PROOF, Header, Rejected

SALT_BYTES = 16
SALT_ID_BYTES = 4
NONCE_BYTES = 16
NO_NONCE = bytes(NONCE_BYTES)
"""In a proof that asks for none in return."""
KEY_ID_BYTES = 2
COUNTER_BYTES = 6
QUESTION_BYTES = 4
COUNTER_LAST = (1 << 8 * COUNTER_BYTES) - 1
TAG_BYTES = 16

WINDOW = 4_096
"""How far below the highest counter seen an envelope may arrive. Reordering spans a few packets; a
frame overtaken by many others is what needs this much."""
_MASK = (1 << WINDOW) - 1
_ZEROS = bytes(12 - COUNTER_BYTES)
_NO_RECEIVER = bytes(WIRE_ID_BYTES)

Freshness = Literal["new", "seen", "late", "unproven"]
"""``late``: too far below the highest to tell. ``unproven``: sealed before its sender had proved
that it lives, so that it may be a recording."""


class Window:
    """Which counters of a sender were seen: the highest, and a bit for each of WINDOW below it.
    All up to ``floor`` are from before its admission."""

    __slots__ = ("_floor", "_highest", "_seen")

    def __init__(self, floor: int) -> None:
        self._floor = self._highest = floor
        self._seen = 1

    def admit(self, counter: int) -> Freshness:
        """Judge a counter, and remember it."""
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = ((self._seen << ahead) | 1) & _MASK if ahead < WINDOW else 1
            self._highest = counter
            return "new"
        if counter <= self._floor:
            return "unproven"
        if ahead <= -WINDOW:
            return "late"
        bit = 1 << -ahead
        if self._seen & bit:
            return "seen"
        self._seen |= bit
        return "new"


class Envelope(NamedTuple):
    """A sealed packet or frame, taken apart. Nothing of it is authentic yet."""

    form: int
    sender: WireId
    key_id: bytes
    salt: bytes
    """Whole in challenges and proofs, else its id."""
    counter: int
    question: int
    """In a challenge: the end of the counter of what it answers; else 0."""
    nonce: bytes
    """As AES-GCM takes it."""
    sealed: bytes
    associated: bytes


class Seal:
    """This process's sending keys, and the way to those of others."""

    def __init__(self, keyring: Keyring, wire: WireId, binding: bytes, salt: bytes) -> None:
        self._wire = wire
        self._binding = binding
        self.keyring = keyring
        self._keys: dict[bytes, bytes] = {}
        self._own: dict[bytes, AESGCM] = {}
        self._salt = salt
        self.counter = 0
        """The last one used."""
        self.adopt(keyring)
        self.renew(salt)

    @property
    def exhausted(self) -> bool:
        """Whether the counter is at its end, and ``renew`` must come before another seal."""
        return self.counter >= COUNTER_LAST

    def renew(self, salt: bytes) -> None:
        """Begin a new counter under a new salt, 16 random bytes never used before."""
        assert len(salt) == SALT_BYTES
        self._salt, self._salt_id = salt, salt_id(salt)
        self._own.clear()
        self.counter = 0

    def adopt(self, keyring: Keyring) -> None:
        """Take over a keyring: send under its first key, read under all."""
        self.keyring = keyring
        self._keys = {wire_key_id(key): key for key in keyring.keys}
        self._primary = wire_key_id(keyring.keys[0])
        self._own.clear()

    def knows(self, key_id: bytes) -> bool:
        return key_id in self._keys

    def derive(self, key_id: bytes, sender: WireId, salt: bytes) -> AESGCM:
        """The sending key of a process, under a key of the ring."""
        hkdf = HKDF(
            hashes.SHA256(), length=KEY_BYTES, salt=salt, info=sender + self._binding
        )  # fmt: skip
        return AESGCM(hkdf.derive(self._keys[key_id]))

    def seal(
        self,
        form: int,
        header: bytes,
        receiver: WireId,
        plain: bytes,
        *,
        frame: bool,
        under: bytes | None = None,
        question: int = 0,
        answering: bytes = b"",
    ) -> bytes:
        """A whole envelope under the key with the id ``under``, else the first of the ring. Every
        call uses a new nonce."""
        assert not self.exhausted
        self.counter += 1
        key_id = under if under in self._keys else self._primary
        key = self._own.get(key_id)
        if key is None:
            key = self._own[key_id] = self.derive(key_id, self._wire, self._salt)
        counter = self.counter.to_bytes(COUNTER_BYTES, "big")
        whole = form in (CHALLENGE, PROOF)
        start = header + key_id + (self._salt if whole else self._salt_id) + counter
        if form == CHALLENGE:
            start += counter_end(question).to_bytes(QUESTION_BYTES, "big")
        associated = self._associated(start, receiver, frame, answering)
        return start + key.encrypt(_ZEROS + counter, plain, associated)

    def take_apart(self, header: Header, data: bytes, header_bytes: int, frame: bool) -> Envelope:
        """The parts of a sealed envelope for this node. Raises Rejected when there are none."""
        form = header.form
        salt_at = header_bytes + KEY_ID_BYTES
        counter_at = salt_at + (SALT_BYTES if form in (CHALLENGE, PROOF) else SALT_ID_BYTES)
        end = counter_at + COUNTER_BYTES
        question = 0
        if form == CHALLENGE:
            question = int.from_bytes(data[end : end + QUESTION_BYTES], "big")
            end += QUESTION_BYTES
        if len(data) < end + TAG_BYTES:
            raise Rejected("dropped_garbage")
        counter = data[counter_at : counter_at + COUNTER_BYTES]
        receiver = self._wire if header.receiver else NOBODY
        return Envelope(
            form,
            header.sender,
            data[header_bytes:salt_at],
            data[salt_at:counter_at],
            int.from_bytes(counter, "big"),
            question,
            _ZEROS + counter,
            data[end:],
            self._associated(data[:end], receiver, frame),
        )

    def _associated(
        self, start: bytes, receiver: WireId, frame: bool, answering: bytes = b""
    ) -> bytes:
        kind = b"F" if frame else b"P"
        return start + self._binding + (receiver or _NO_RECEIVER) + kind + answering


def counter_end(counter: int) -> int:
    """What a challenge says of a counter: enough for what was sent lately."""
    return counter % (1 << 8 * QUESTION_BYTES)


def salt_id(salt: bytes) -> bytes:
    """What stands for a salt once it is admitted."""
    return hashlib.blake2b(salt, digest_size=SALT_ID_BYTES, person=b"grapevine-salt").digest()


def unseal(key: AESGCM, envelope: Envelope, answering: bytes = b"") -> bytes:
    """What was sealed. Raises Rejected when it wasn't sealed under this key."""
    try:
        return key.decrypt(envelope.nonce, envelope.sealed, envelope.associated + answering)
    except InvalidTag:
        raise Rejected("dropped_forged") from None
