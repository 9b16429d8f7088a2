"""How single fields of messages are written for msgpack and read back within their bounds."""

import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

from gossip import limits
from gossip.address import Address, reachable_host
from gossip.identity import node_id_bytes, node_id_text
from gossip.keyring import Keyring, KeyringRefused, decode
from gossip.member import METADATA_BYTES_MAX, Metadata, Status
from gossip.replica import Changeset, Head, Version


class Malformed(ValueError):
    """A field that is missing, of the wrong type or out of range."""


Field = tuple[Callable[[Any], object], Callable[[object], Any]]
"""(to msgpack, from msgpack; raises Malformed)."""

Kinds = Mapping[int, tuple[type[Any], tuple[Field, ...]]]
"""By the number on the wire: the message, and its fields in order."""


def integer(low: int, high: int) -> Field:
    def read(raw: object) -> int:
        if type(raw) is not int or not low <= raw <= high:
            raise Malformed(f"{type(raw).__name__} is not an integer from {low} to {high}")
        return raw

    return (lambda value: int(value)), read


def seconds(high: float) -> Field:
    def read(raw: object) -> float | None:
        if raw is None:
            return None
        if type(raw) is not float or not 0.0 <= raw <= high:
            raise Malformed(f"{type(raw).__name__} is not a number of seconds from 0 to {high}")
        return raw

    def write(value: float | None) -> float | None:
        return None if value is None else min(max(float(value), 0.0), high)

    return write, read


def in_milliseconds(value: float) -> int:
    """Seconds as whole milliseconds, rounded up, but for less than a microsecond: what came in as
    some number of them goes out as the same one, however often it is passed on."""
    return math.ceil(round(value * 1000, 3))


def milliseconds(high: float) -> Field:
    def read(raw: object) -> float | None:
        if raw is None:
            return None
        if type(raw) is not int or not 0 <= raw <= high * 1000:
            raise Malformed(f"{type(raw).__name__} is not a number of ms up to {high} s")
        return raw / 1000

    def write(value: float | None) -> int | None:
        return None if value is None else in_milliseconds(min(max(value, 0.0), high))

    return write, read


def read_text(raw: object, size_max: int) -> str:
    if type(raw) is not str or len(raw.encode("utf-8", "surrogatepass")) > size_max:
        raise Malformed(f"{type(raw).__name__} is not a text of at most {size_max} bytes")
    return raw


def read_bytes(raw: object, low: int, high: int) -> bytes:
    if type(raw) is not bytes or not low <= len(raw) <= high:
        raise Malformed(f"{type(raw).__name__} is not {low} to {high} bytes")
    return raw


def read_array(raw: object, length_min: int) -> tuple[object, ...]:
    if type(raw) is not tuple or len(raw) < length_min:
        raise Malformed(f"{type(raw).__name__} is not an array of at least {length_min}")
    return raw


def read_node_id(raw: object) -> str:
    node_id = node_id_text(read_bytes(raw, 16, 16))
    if not node_id:
        raise Malformed("an empty node id")
    return node_id


def read_bool(raw: object) -> bool:
    if type(raw) is not bool:
        raise Malformed(f"{type(raw).__name__} is not true or false")
    return raw


def read_address(raw: object) -> Address:
    host, port = read_array(raw, 2)[:2]
    try:
        numeric = reachable_host(read_text(host, limits.HOST_BYTES_MAX))
    except ValueError as error:
        raise Malformed(str(error)) from error
    if type(port) is not int or not 0 < port < 65_536:
        raise Malformed(f"{type(port).__name__} is not a port")
    return numeric, port


def read_metadata(raw: object) -> Metadata:
    texts = read_array(raw, len(METADATA_BYTES_MAX) - len(Metadata._field_defaults))
    return Metadata(
        *(read_text(text, limit) for text, limit in zip(texts, METADATA_BYTES_MAX, strict=False))
    )


def read_status(raw: object) -> Status:
    if type(raw) is not int or not Status.SUSPECT <= raw <= Status.LEFT:
        raise Malformed(f"{type(raw).__name__} is not a verdict")
    return Status(raw)


def optional(write: Callable[[Any], object], read: Callable[[object], Any]) -> Field:
    """A field that may be None."""
    return (
        lambda value: None if value is None else write(value),
        lambda raw: None if raw is None else read(raw),
    )


def fixed(low: int, high: int) -> Field:
    """A number that takes the same room whatever it is."""

    def read(raw: object) -> int:
        value = int.from_bytes(read_bytes(raw, 8, 8), "big")
        if not low <= value <= high:
            raise Malformed(f"a number that is not from {low} to {high}")
        return value

    return (lambda value: value.to_bytes(8, "big")), read


def one_of(kinds: type[IntEnum]) -> Field:
    def read(raw: object) -> IntEnum:
        if type(raw) is not int or raw not in [*kinds]:
            raise Malformed(f"{type(raw).__name__} is not one of {kinds.__name__}")
        return kinds(raw)

    return int, read


def read_version(raw: object) -> Version:
    parts = read_array(raw, 3)[:3]
    bounds = (limits.REVISION_MAX, limits.TAG_MAX, limits.REVISION_MAX)
    for part, bound in zip(parts, bounds, strict=True):
        if type(part) is not int or not 0 <= part <= bound:
            raise Malformed(f"{type(raw).__name__} is not a version")
    epoch, tag, revision = parts
    return epoch, tag, revision  # type: ignore[return-value]


def read_head(raw: object) -> Head:
    version, digest = read_array(raw, 2)[:2]
    return Head(read_version(version), read_bytes(digest, 32, 32))


def read_state_hash(raw: object) -> bytes:
    state_hash = read_bytes(raw, 0, 32)
    if len(state_hash) not in (0, 32):
        raise Malformed(f"a state hash of {len(state_hash)} bytes")
    return state_hash


def read_keyring(raw: object) -> Keyring:
    try:
        return decode(read_bytes(raw, 1, limits.KEYRING_BYTES_MAX))
    except KeyringRefused as error:
        raise Malformed(str(error)) from error


def read_changeset(raw: object) -> Changeset:
    version, predecessor, digest, body = read_array(raw, 4)[:4]
    return Changeset(
        read_version(version),
        read_bytes(predecessor, 32, 32),
        read_bytes(digest, 32, 32),
        read_bytes(body, 0, limits.BODY_BYTES_MAX),
    )


SEQUENCE = integer(0, 2**32 - 1)

COUNTER = integer(1, limits.COUNTER_MAX)

NODE_ID: Field = (node_id_bytes, read_node_id)

HEAD: Field = (list, read_head)

STATE_HASH: Field = (bytes, read_state_hash)
"""Empty where the chain digest covers the state."""
