"""What nodes tell each other of targets' health, as the body of an observation.

A msgpack array ``[kind, [[upstream id, target id, host, port, available], …]]``. What isn't wholly
so is no word: the sender is of another version, or no friend.
"""

import ipaddress
import uuid
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgpack

from node.agent.health.limits import WORDS_PER_OBSERVATION_MAX
from node.proxy.balancing.address import TargetAddress


class Kind(IntEnum):
    """How the sender knows."""

    PROBED = 0
    SERVED = 1
    """By requests of its clients (passive checks)."""


class Words(NamedTuple):
    """How addresses stand at the sender."""

    kind: Kind
    said: tuple[tuple[TargetAddress, bool], ...]
    """Whether it takes each for available."""


class NoWords(ValueError):
    """A body that can't be read."""


def bodies(kind: Kind, said: Sequence[tuple[TargetAddress, bool]]) -> Iterator[bytes]:
    """These words, in as many observations as hold them."""
    for first in range(0, len(said), WORDS_PER_OBSERVATION_MAX):
        yield write(Words(kind, tuple(said[first : first + WORDS_PER_OBSERVATION_MAX])))


def write(words: Words) -> bytes:
    """Raises ValueError for ids that are no UUIDs."""
    said = [
        (
            uuid.UUID(address.upstream_id).bytes,
            uuid.UUID(address.target_id).bytes,
            ipaddress.ip_address(address.host).packed,
            address.port,
            available,
        )
        for address, available in words.said
    ]
    body: bytes = msgpack.packb((int(words.kind), said))
    return body


def read(body: bytes) -> Words:
    """Raises NoWords."""
    try:
        kind, said = msgpack.unpackb(body, use_list=False)
        if len(said) > WORDS_PER_OBSERVATION_MAX:
            raise NoWords(f"{len(said)} words")
        return Words(Kind(kind), tuple(_read_word(*one) for one in said))
    except NoWords:
        raise
    except Exception as error:
        raise NoWords(repr(error)) from error


def _read_word(
    upstream_id: bytes, target_id: bytes, host: bytes, port: int, available: bool
) -> tuple[TargetAddress, bool]:
    if type(host) is not bytes:
        raise NoWords("no address")
    if type(port) is not int or not 0 < port < 65536 or type(available) is not bool:
        raise NoWords("no port, or no state")
    address = TargetAddress(
        str(uuid.UUID(bytes=upstream_id)),
        str(uuid.UUID(bytes=target_id)),
        str(ipaddress.ip_address(host)),
        port,
    )
    return address, available
