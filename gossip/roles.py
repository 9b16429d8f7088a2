"""What a node may say by its role (DESIGN 4, point 7, and 8)."""

from gossip.members import Members

DATA_PLANE = "data_plane"


def may_originate(members: Members, node_id: str) -> bool:
    """Whether purges and registers of this node count, as far as is known: those of data planes
    don't, for what those are to be trusted with is traffic."""
    member = members.get(node_id)
    return member is None or member.metadata.role != DATA_PLANE
