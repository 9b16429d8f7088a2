"""The envelope: what every UDP packet and every stream frame looks like.

    magic      2  "GV"
    form       1  what follows the header, see below
    versions   1  lowest and highest protocol version that the sender speaks, 4 bits each
    cluster    4  digest of the cluster name: another cluster's packets end here
    sender     8  wire id (``gossip.identity``)
    receiver   4  the end of its wire id, or zeros when the sender doesn't know it (a seed)

    form 0, clear          parts, each a kind (1), a length (1, or 255 and 4 more, big-endian) and a
                           msgpack array; kind 0 is padding, of zeros
    forms 1 to 4, sealed   a prefix, a ciphertext and its tag (``gossip.seal``)
    form 5, unknown key    in clear, a hint: the key id (2) and the counter (6) of what it answers

Several messages share a packet (SWIM's piggyback). A part's length lets a reader skip kinds it
doesn't know and messages it can't read, and keep the rest. Nothing is allocated by a number that a
stranger wrote: lengths are compared with what is there, msgpack arrays bounded. Packets of an idle
cluster are little but envelope, so every byte here costs twice a second on every node.
"""

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import msgpack

from gossip import limits
from gossip.identity import NOBODY, WireId
from gossip.messages import CLAIMS, Message, is_known, message_fields, read_message
from gossip.messages.fields import Malformed
from gossip.messages.membership import Alive, Verdict
from gossip.messages.spreading import RELAY_NUMBER

PROTOCOL_LOWEST = 1
PROTOCOL_HIGHEST = 1

CLEAR, SEALED, ASKING, CHALLENGE, PROOF, UNKNOWN_KEY = range(6)
"""The forms."""

_MAGIC = b"GV"
_HEADER = struct.Struct(">2sBB4s8s4s")
_PART = struct.Struct(">BB")
_LENGTH = struct.Struct(">I")
_LONG = 255
"""In a part's length byte: the length follows."""
_RECEIVER_BYTES = 4
_CLAIMS_KEPT = 4_096
"""Claims of which both forms are remembered: each is passed on many times, and heard from many. Of
one member there are few at a time. Short ones only, so that this is two or three MB at most."""
_PADDING = 0
"""The kind of a part that means nothing."""
assert _HEADER.size == limits.HEADER_BYTES
assert 0 < PROTOCOL_LOWEST <= PROTOCOL_HIGHEST < 16


class Versions(NamedTuple):
    """The protocol versions that some software speaks, lowest to highest, each 1 to 15."""

    lowest: int
    highest: int

    def common(self, other: "Versions") -> int | None:
        """The highest that both speak; None when there is none."""
        highest = min(self.highest, other.highest)
        return highest if highest >= max(self.lowest, other.lowest) else None


SPOKEN = Versions(PROTOCOL_LOWEST, PROTOCOL_HIGHEST)
"""What this software speaks."""


def check_versions(versions: Versions) -> None:
    """Raises ValueError for a range that an envelope can't tell."""
    if not 1 <= versions.lowest <= versions.highest <= 15:
        raise ValueError(f"protocol versions {versions.lowest} to {versions.highest} are none")


class Rejected(Exception):
    """A packet or frame that isn't read any further; ``reason`` is the name of its counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Header(NamedTuple):
    """The clear part of an envelope."""

    form: int
    versions: Versions
    """What the sender speaks."""
    cluster: bytes
    sender: WireId
    receiver: bytes
    """The end of a wire id; NOBODY when the sender doesn't know who is at the address."""

    def is_for(self, node: WireId) -> bool:
        """Whether a node of this wire id may be meant."""
        return self.receiver in (NOBODY, node[-_RECEIVER_BYTES:])


class Parts(NamedTuple):
    """What an envelope held."""

    messages: tuple[Message, ...]
    unknown: int
    """Parts of a kind that this version doesn't know."""
    malformed: int
    """Parts that can't be read."""
    relayed: bytes = b""
    """What follows a Relay at the beginning, as it came: kinds that this version doesn't know are
    passed on, too."""


def check_cluster_name(name: str) -> None:
    """Raises ValueError, naming the setting, for a name that is empty or too long."""
    size = len(name.encode())
    if not 1 <= size <= limits.CLUSTER_NAME_BYTES_MAX:
        raise ValueError(
            f"cluster_name has {size} bytes; 1 to {limits.CLUSTER_NAME_BYTES_MAX} are allowed"
        )


def cluster_digest(name: str) -> bytes:
    """The 4 bytes that stand for a cluster name."""
    return hashlib.blake2b(name.encode(), digest_size=4, person=b"grapevine-cname").digest()


def cluster_binding(name: str) -> bytes:
    """The 32 bytes by which seals are bound to a cluster name: 4 can be met by chance."""
    return hashlib.blake2b(name.encode(), digest_size=32, person=b"grapevine-seal").digest()


def encode_header(
    form: int, cluster: bytes, sender: WireId, receiver: WireId, versions: Versions = SPOKEN
) -> bytes:
    """The header's bytes."""
    spoken = versions.lowest << 4 | versions.highest
    return _HEADER.pack(_MAGIC, form, spoken, cluster, sender, receiver[-_RECEIVER_BYTES:])


def decode_header(data: bytes, versions: Versions = SPOKEN) -> Header:
    """Read a header. Raises Rejected when the bytes are not of this protocol, or of versions of it
    none of which is among ``versions``."""
    if len(data) < _HEADER.size:
        raise Rejected("dropped_garbage")
    magic, form, spoken, cluster, sender, receiver = _HEADER.unpack_from(data)
    lowest, highest = spoken >> 4, spoken & 15
    if magic != _MAGIC or not any(sender) or lowest > highest:
        raise Rejected("dropped_garbage")
    if lowest > versions.highest or highest < versions.lowest or form > UNKNOWN_KEY:
        raise Rejected("dropped_version")
    theirs = Versions(lowest, highest)
    return Header(form, theirs, cluster, sender, receiver if any(receiver) else NOBODY)


def encode_part(message: Message) -> bytes:
    """One message with its length and kind."""
    return _encode_claim(message) if isinstance(message, Alive | Verdict) else _encode(message)


def _encode(message: Message) -> bytes:
    kind, fields = message_fields(message)
    packed: bytes = msgpack.packb(fields)
    if len(packed) < _LONG:
        return _PART.pack(kind, len(packed)) + packed
    return _PART.pack(kind, _LONG) + _LENGTH.pack(len(packed)) + packed


_encode_claim = lru_cache(maxsize=_CLAIMS_KEPT)(_encode)


def encode_parts(messages: Iterable[Message]) -> bytes:
    """Messages one after another."""
    return b"".join(map(encode_part, messages))


def pad(body: bytes, size: int) -> bytes:
    """Parts that are shorter than ``size`` (at most 256), brought to it or one byte above."""
    missing = size - len(body)
    if missing <= 0:
        return body
    zeros = max(0, missing - _PART.size)
    return body + _PART.pack(_PADDING, zeros) + bytes(zeros)


def decode_parts(body: bytes, parts_max: int) -> Parts:
    """Read all messages that can be read. Raises Rejected when the lengths don't add up."""
    messages: list[Message] = []
    offset = count = unknown = malformed = 0
    relayed = b""
    while offset < len(body):
        count += 1
        if offset + _PART.size > len(body) or count > parts_max:
            raise Rejected("dropped_garbage")
        kind, length = body[offset], body[offset + 1]
        begin = offset + _PART.size
        if length == _LONG:
            if begin + _LENGTH.size > len(body):
                raise Rejected("dropped_garbage")
            (length,) = _LENGTH.unpack_from(body, begin)
            begin += _LENGTH.size
        offset = begin + length
        if offset > len(body):
            raise Rejected("dropped_garbage")
        if kind == _PADDING:
            continue
        if not is_known(kind):
            unknown += 1
            continue
        read = _read_claim if kind in CLAIMS and length < _LONG else _read
        try:
            messages.append(read(kind, body[begin:offset]))
        except Malformed:
            malformed += 1
        else:
            if kind == RELAY_NUMBER and count == 1:
                relayed = body[offset:]
    return Parts(tuple(messages), unknown, malformed, relayed)


def _read(kind: int, data: bytes) -> Message:
    return read_message(kind, _unpack_fields(data))


_read_claim = lru_cache(maxsize=_CLAIMS_KEPT)(_read)


def _unpack_fields(data: bytes) -> tuple[object, ...]:
    try:
        fields = msgpack.unpackb(
            data,
            use_list=False,
            max_array_len=limits.PART_FIELDS_MAX,
            max_map_len=limits.PART_FIELDS_MAX,
            max_ext_len=len(data),
        )
    except (ValueError, TypeError, RecursionError) as error:
        # msgpack's exceptions are ValueErrors; an unhashable map key is a TypeError.
        raise Malformed("not msgpack") from error
    if type(fields) is not tuple:
        raise Malformed("not an array of fields")
    return fields
