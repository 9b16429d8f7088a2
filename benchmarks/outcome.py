"""What the nodes of a stopped cluster hold, beside what the authority holds."""

from node.agent.authorities import make_authority
from node.config.load import load
from node.demo.cluster import LocalCluster, LocalNode
from store.changeset import Change
from store.replica_file.file import ReplicaFile

Content = dict[tuple[str, str], str | None]
"""Stored text by (kind, id)."""


async def authority_content(cluster: LocalCluster) -> tuple[str, Content]:
    """The authority's version and state."""
    authority = make_authority(load(str(cluster.nodes[0].conf), {}, {}))
    await authority.open()
    try:
        state = await authority.state()
    finally:
        await authority.close()
    return str(state.head.version), _content(state.entities)


def node_content(node: LocalNode) -> tuple[str, Content]:
    """What a node has written to its disk in stopping, every row checked."""
    entities: list[Change] = []
    file = ReplicaFile(node.prefix / "replica.db")
    try:
        loaded = file.load(entities.extend)
    finally:
        file.close()
    version = "nothing" if loaded is None else str(loaded.about.head.version)
    return version, _content(entities)


async def differences(cluster: LocalCluster) -> list[str]:
    """What each node of a cluster that has stopped lacks or has beyond the authority, in words."""
    version, wanted = await authority_content(cluster)
    found = []
    for node in cluster.nodes:
        own_version, own = node_content(node)
        apart = sum(1 for key in {*wanted, *own} if wanted.get(key) != own.get(key))
        if apart or own_version != version:
            found.append(f"{node.name}: {apart} entities differ, at {own_version} of {version}")
    return found


def _content(entities: "list[Change] | tuple[Change, ...]") -> Content:
    return {(change.kind, change.id): change.entity for change in entities}
