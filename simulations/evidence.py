"""Evidence: what a member says of the dead is never forgotten again.

The incarnation that is held of a node is the highest of all that was admitted about it, even where
its status doesn't change: "failed at 10" over "failed at 1", or a late "alive at 2" raises the dead
(al8n/memberlist#197). Packets and frames in clear are read here, too, and compared with what the
reader holds afterwards.
"""

from typing import TYPE_CHECKING

from gossip.identity import wire_id
from gossip.limits import FRAME_PARTS_MAX, HEADER_BYTES
from gossip.member import Status
from gossip.messages import Verdict
from gossip.wire import CLEAR, Rejected, cluster_digest, decode_header, decode_parts, encode_part

if TYPE_CHECKING:
    from simulations.node import Node


_VERDICT = encode_part(Verdict("0" * 32, 1, 1, Status.FAILED, "0" * 32))[0]
_LONG = 255


def told(node: "Node", data: bytes) -> list[Verdict]:
    """What a member tells of others in a packet or frame that this node is about to read."""
    if len(data) <= HEADER_BYTES or data[2] != CLEAR or not _holds_verdict(data):
        return []
    try:
        header = decode_header(data)
        parts = decode_parts(data[HEADER_BYTES:], FRAME_PARTS_MAX)
    except Rejected:
        return []
    ours = header.cluster == cluster_digest(node.cluster) and header.is_for(wire_id(node.id))
    if not ours or not any(wire_id(view.id) == header.sender for view in node.members()):
        # Only members are heard about others.
        return []
    return [message for message in parts.messages if isinstance(message, Verdict)]


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


def _holds_verdict(data: bytes) -> bool:
    offset, end = HEADER_BYTES, len(data)
    while offset + 2 <= end:
        if data[offset] == _VERDICT:
            return True
        length = data[offset + 1]
        if length == _LONG:
            length = 4 + int.from_bytes(data[offset + 2 : offset + 6], "big")
        offset += 2 + length
    return False
