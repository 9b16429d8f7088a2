"""The envelope: what every UDP packet and every stream frame looks like.

    magic      2  "GV"
    form       1  0 in clear, 1 sealed (``gossip.seal``)
    lowest     1  lowest protocol version that the sender speaks
    highest    1  highest one
    cluster    8  digest of the cluster name: another cluster's packets end here
    sender    16  node id
    receiver  16  node id, or zeros when the sender doesn't know it (a seed)
    parts         each a length (4 bytes, big-endian), a kind (1) and a msgpack array (length - 1)

Several messages share a packet (SWIM's piggyback). A part's length lets a reader skip kinds it
doesn't know and messages it can't read, and keep the rest. Nothing is allocated by a number that a
stranger wrote: lengths are compared with what is there, msgpack arrays bounded.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

import msgpack

from gossip import limits
from gossip.identity import node_id_bytes, node_id_text
from gossip.messages import Malformed, Message, is_known, message_fields, read_message

PROTOCOL_LOWEST = 1
PROTOCOL_HIGHEST = 1

CLEAR = 0
SEALED = 1

_MAGIC = b"GV"
_HEADER = struct.Struct(">2sBBB8s16s16s")
_PART = struct.Struct(">IB")
assert _HEADER.size == limits.HEADER_BYTES


class Rejected(Exception):
    """A packet or frame that isn't read any further; ``reason`` is the name of its counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Header(NamedTuple):
    """The clear part of an envelope."""

    form: int
    lowest: int
    highest: int
    cluster: bytes
    sender: str
    receiver: str
    """Empty when the sender doesn't know who is at the address."""


class Parts(NamedTuple):
    """What an envelope held."""

    messages: tuple[Message, ...]
    unknown: int
    """Parts of a kind that this version doesn't know."""
    malformed: int
    """Parts that can't be read."""


def check_cluster_name(name: str) -> None:
    """Raises ValueError, naming the setting, for a name that is empty or too long."""
    size = len(name.encode())
    if not 1 <= size <= limits.CLUSTER_NAME_BYTES_MAX:
        raise ValueError(
            f"cluster_name has {size} bytes; 1 to {limits.CLUSTER_NAME_BYTES_MAX} are allowed"
        )


def cluster_digest(name: str) -> bytes:
    """The 8 bytes that stand for a cluster name."""
    return hashlib.blake2b(name.encode(), digest_size=8, person=b"grapevine-cname").digest()


def encode_header(form: int, cluster: bytes, sender: str, receiver: str) -> bytes:
    """The header's bytes, with the protocol versions of this software."""
    return _HEADER.pack(
        _MAGIC,
        form,
        PROTOCOL_LOWEST,
        PROTOCOL_HIGHEST,
        cluster,
        node_id_bytes(sender),
        node_id_bytes(receiver),
    )


def decode_header(data: bytes) -> Header:
    """Read a header. Raises Rejected when the bytes are not of this protocol or version."""
    if len(data) < _HEADER.size:
        raise Rejected("dropped_garbage")
    magic, form, lowest, highest, cluster, sender, receiver = _HEADER.unpack_from(data)
    if magic != _MAGIC or not any(sender) or lowest > highest:
        raise Rejected("dropped_garbage")
    if lowest > PROTOCOL_HIGHEST or highest < PROTOCOL_LOWEST or form not in (CLEAR, SEALED):
        raise Rejected("dropped_version")
    return Header(form, lowest, highest, cluster, node_id_text(sender), node_id_text(receiver))


def encode_part(message: Message) -> bytes:
    """One message with its length and kind."""
    kind, fields = message_fields(message)
    packed: bytes = msgpack.packb(fields)
    return _PART.pack(1 + len(packed), kind) + packed


def encode_parts(messages: Iterable[Message]) -> bytes:
    """Messages one after another."""
    return b"".join(map(encode_part, messages))


def decode_parts(body: bytes, parts_max: int) -> Parts:
    """Read all messages that can be read. Raises Rejected when the lengths don't add up."""
    messages: list[Message] = []
    offset = count = unknown = malformed = 0
    while offset < len(body):
        count += 1
        if offset + _PART.size > len(body) or count > parts_max:
            raise Rejected("dropped_garbage")
        length, kind = _PART.unpack_from(body, offset)
        begin, end = offset + _PART.size, offset + _PART.size - 1 + length
        if length < 2 or end > len(body):
            raise Rejected("dropped_garbage")
        offset = end
        if not is_known(kind):
            unknown += 1
            continue
        try:
            messages.append(read_message(kind, _unpack_fields(body[begin:end])))
        except Malformed:
            malformed += 1
    return Parts(tuple(messages), unknown, malformed)


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
