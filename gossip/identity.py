"""Who a process is."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from gossip.limits import COUNTER_MAX, NAME_BYTES_MAX, TAG_MAX

_NODE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Identity(NamedTuple):
    """One process life of one node.

    The generation is stored before the first packet and never taken from a clock: Cassandra's
    wall-clock generations locked nodes out after a clock jump (CASSANDRA-10969).
    """

    node_id: str
    """UUID in lower case, kept across restarts."""
    generation: int
    """Which life of the node this is, from 1 to 2^62. A higher one wins at once."""
    tag: int
    """64 random bits of the process: tells two processes with one node id apart."""


WireId = bytes
"""The last 8 bytes of a node id, 62 of their bits random: who sent a packet, in its envelope. Fat
identities in every packet left foca's users little room for anything else (caio/foca#15). Two nodes
whose wire ids meet can't be members of one cluster: the second is refused and counted."""

WIRE_ID_BYTES = 8
NOBODY: WireId = b""
"""In place of a receiver that isn't known: a seed's address."""


def check_identity(identity: Identity) -> None:
    """Raises ValueError naming the field that is out of range."""
    if not _NODE_ID.fullmatch(identity.node_id):
        raise ValueError(f"node id '{identity.node_id}' is not a UUID in lower case")
    if not 1 <= identity.generation <= COUNTER_MAX:
        raise ValueError(f"generation {identity.generation} is not between 1 and 2^62")
    if not 0 <= identity.tag <= TAG_MAX:
        raise ValueError(f"process tag {identity.tag} is not a 64-bit number")


@lru_cache(maxsize=65_536)
def wire_id(node_id: str) -> WireId:
    """The wire id of a node id; NOBODY for the empty one."""
    return bytes.fromhex(node_id.replace("-", "")[-2 * WIRE_ID_BYTES :])


def other_name(name: str, node_id: str, taken: Sequence[str]) -> str:
    """What a node is called when its name is another's: ``name~`` and the last 4 hex of its node
    id, or as many more as it takes to be none of those that are taken."""
    digits = node_id.replace("-", "")
    for count in (4, 8, 16, len(digits)):
        ending = f"~{digits[-count:]}"
        room = NAME_BYTES_MAX - len(ending)
        other = name.encode()[:room].decode(errors="ignore") + ending
        if other not in taken:
            break
    return other


def node_id_bytes(node_id: str) -> bytes:
    """The 16 bytes of a node id; 16 zero bytes for the empty id."""
    return bytes.fromhex(node_id.replace("-", "")) if node_id else bytes(16)


def node_id_text(data: bytes) -> str:
    """The inverse of node_id_bytes."""
    if not any(data):
        return ""
    h = data.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
