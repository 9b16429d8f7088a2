"""Evidence: what a member says of the dead is never forgotten again.

The incarnation that is held of a node is the highest of all that was admitted about it, even where
its status doesn't change: "failed at 10" over "failed at 1", or a late "alive at 2" raises the dead
(al8n/memberlist#197). Packets and frames in clear are read here, too, and compared with what the
reader holds afterwards.
"""

from typing import TYPE_CHECKING

from gossip.identity import NOBODY, WireId, wire_id
from gossip.limits import FRAME_PARTS_MAX, HEADER_BYTES
from gossip.member import Status
from gossip.messages.membership import Verdict
from gossip.wire import CLEAR, Rejected, cluster_digest, decode_header, decode_parts, encode_part

if TYPE_CHECKING:
    from simulations.node import Node


_VERDICT = encode_part(Verdict("0" * 32, 1, 1, Status.FAILED, "0" * 32))[0]
_LONG = 255


def told(node: "Node", data: bytes) -> tuple[WireId, list[Verdict]]:
    """What a packet or frame that this node is about to read says of others, and who sent it."""
    parts = _verdicts(data)
    if not parts or data[2] != CLEAR:
        return NOBODY, []
    try:
        header = decode_header(data)
        verdicts = decode_parts(parts, FRAME_PARTS_MAX).messages
    except Rejected:
        return NOBODY, []
    if header.cluster != cluster_digest(node.cluster) or not header.is_for(wire_id(node.id)):
        return NOBODY, []
    return header.sender, [verdict for verdict in verdicts if isinstance(verdict, Verdict)]


def is_listed(node: "Node", wire: WireId) -> bool:
    """Whether somebody is a member there: only members are heard about others."""
    return any(wire_id(view.id) == wire for view in node.members())


def is_whole(data: bytes) -> bool:
    """Whether nothing of it was garbled on the way: what was is dropped with all that it says."""
    try:
        decode_parts(data[HEADER_BYTES:], FRAME_PARTS_MAX)
    except Rejected:
        return False
    return True


def drops(node: "Node") -> int:
    """How often its process has dropped something: what it drops it doesn't read."""
    return sum(count for name, count in node.core.counters.items() if name.startswith("dropped_"))


def check_held(node: "Node", verdicts: list[Verdict]) -> None:
    """It has read them: whatever members it lists are at the incarnations told there."""
    views = {view.id: view for view in node.members()}
    for verdict in verdicts:
        view = views.get(verdict.node_id)
        if view is None or view.is_self or view.generation != verdict.generation:
            continue
        where = f"node {node.index} was told that {view.name} is {verdict.status.label}"
        held = f"holds it for {view.status} at {view.incarnation}"
        known = view.incarnation >= verdict.incarnation
        assert known, f"{where} at {verdict.incarnation}, and {held}"


def _verdicts(data: bytes) -> bytes:
    """The parts that are verdicts: few packets have any, and nothing else is worth decoding."""
    verdicts = b""
    offset, end = HEADER_BYTES, len(data)
    while offset + 2 <= end:
        kind, length = data[offset], data[offset + 1]
        begin = offset
        if length == _LONG:
            length = 4 + int.from_bytes(data[offset + 2 : offset + 6], "big")
        offset += 2 + length
        if kind == _VERDICT:
            verdicts += data[begin:offset]
    return verdicts
