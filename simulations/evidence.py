"""Evidence: what a member's table says of the dead is never forgotten again.

The incarnation that is held of a node is the highest of all that was admitted about it, even where
its status doesn't change: "failed at 10" over "failed at 1", or a late "alive at 2" raises the dead
(al8n/memberlist#197). Tables are read here by themselves, in clear, and compared with what the
reader holds afterwards.
"""

from typing import TYPE_CHECKING

from gossip.identity import wire_id
from gossip.limits import FRAME_PARTS_MAX, HEADER_BYTES
from gossip.messages import Verdict
from gossip.wire import CLEAR, Rejected, cluster_digest, decode_header, decode_parts

if TYPE_CHECKING:
    from simulations.node import Node


def check_held(node: "Node", frame: bytes) -> None:
    """A node has read a frame: whatever members it lists are at the incarnations told there."""
    try:
        header = decode_header(frame)
        ours = header.cluster == cluster_digest(node.cluster)
        if header.form != CLEAR or not ours or not header.is_for(wire_id(node.id)):
            return
        parts = decode_parts(frame[HEADER_BYTES:], FRAME_PARTS_MAX)
    except Rejected:
        return
    verdicts = [message for message in parts.messages if isinstance(message, Verdict)]
    if not verdicts:
        return
    views = {view.id: view for view in node.members()}
    if not any(wire_id(node_id) == header.sender for node_id in views):
        # Only members are heard about others.
        return
    for told in verdicts:
        view = views.get(told.node_id)
        if view is None or view.is_self or view.generation != told.generation:
            continue
        where = f"node {node.index} was told that {view.name} is {told.status.label}"
        held = f"holds it for {view.status} at {view.incarnation}"
        assert view.incarnation >= told.incarnation, f"{where} at {told.incarnation}, and {held}"
