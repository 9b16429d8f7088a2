"""What a node does around its core, and production's agent does in ``node/agent``: it asks the
authority, loads from it, and carries out what operators want.
"""

from typing import TYPE_CHECKING

from gossip.events import (
    Behind,
    EpochHeard,
    Event,
    HistoryAnswered,
    HistoryAsked,
    SnapshotFailed,
    StateDiffers,
)
from gossip.keyring import Keyring
from gossip.replica import Changeset, Head, Verdict
from simulations.authority import EntityReplica, LogReplica
from simulations.fences import PlayedFences
from simulations.verdict import History

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World


class Application:
    """That of one node."""

    def __init__(self, world: "World", node: "Node") -> None:
        self._world = world
        self._node = node
        self.fences = PlayedFences(world, node)
        self.history = History(world, node, self._load)
        self._told: tuple[int, int] | None = None
        """(life, outages before) in which the authority has told it who was forced out."""

    def begun(self) -> None:
        """A process has begun: gossip is told whom the authority may not know to be forced out."""
        node = self._node
        node.replica.authority_answers = lambda: self._world.authority_of(node).available
        self.history.begin()
        for node_id, generation in node.disk.removals.items():
            node.core.removed(node_id, generation, node.now())

    def write(self, body: bytes) -> Changeset | None:
        """A client writes here; None when it is refused."""
        node, authority = self._node, self._world.authority_of(self._node)
        if not (authority.available and self.history.may_write()):
            return None
        changeset = authority.commit(body)
        verdict = self.committed(changeset)
        if verdict != "preparing" and node.replica.head()[0] < changeset.version:
            self._load()
        return changeset

    def committed(self, changeset: Changeset) -> Verdict:
        """This node has committed a changeset at the authority."""
        node = self._node
        verdict = node.replica.take(*changeset)
        waits = verdict in ("early", "preparing", "poison")
        node.core.committed(node.now(), (changeset,) if waits else ())
        node.flush()
        return verdict

    def offer_keyring(self, keyring: Keyring) -> None:
        """An operator has changed the keyring here, or it was fetched from where it is kept."""
        node = self._node
        if node.core.offer_keyring(keyring, node.now()):
            node.disk.keyring.put(keyring, self._world.now)
        node.flush()

    def force_out(self, node_id: str) -> None:
        """An operator makes a member leave. It is kept until the authority knows.

        Raises KeyError when it isn't listed.
        """
        node = self._node
        generation = node.core.force_leave(node_id, node.now())
        self._world.checks.forced_out(node_id, generation)
        node.disk.removals[node_id] = generation
        if self._world.authority.available:
            self._tell_removals()
        node.flush()

    def noticed(self, event: Event) -> None:
        """What gossip tells of histories."""
        if isinstance(event, Behind):
            self._behind(event)
        elif isinstance(event, EpochHeard):
            self._world.schedule(0.0, self._look_for, event, self._node.life)
        elif isinstance(event, HistoryAsked):
            self.history.asked(event)
        elif isinstance(event, HistoryAnswered):
            self.history.answered(event)
        elif isinstance(event, StateDiffers):
            self._differs(event)
        elif isinstance(event, SnapshotFailed):
            self._failed()

    def _look_for(self, event: EpochHeard, life: int) -> None:
        """A higher epoch is read at the authority; where that knows nothing of it, that is told."""
        node = self._node
        if node.is_idle(life) or not self._world.authority_of(node).available:
            return
        self._load()
        if node.replica.head()[0][:2] < event.version[:2]:
            self.history.heard()
        node.flush()

    def _behind(self, event: Behind) -> None:
        """Peers couldn't repair the replica: the authority can or, while it is away, the whole
        state of a peer."""
        if self._world.authority_of(self._node).available:
            self._load()
            if event.reason == "forked":
                self.history.heard()
        else:
            self._node.core.fetch_snapshot(self._node.now())

    def _differs(self, event: StateDiffers) -> None:
        """A member holds another state at the same head. The authority is right in any case; while
        it is away, who is known to be damaged is renewed by a peer."""
        node = self._node
        if self._world.authority_of(node).available:
            self.verify()
        elif event.verdict != "undecided":
            node.core.fetch_snapshot(node.now(), damaged=True)

    def _failed(self) -> None:
        """No peer could help: where what is held is damaged, the authority can."""
        node = self._node
        available = self._world.authority_of(node).available
        if available and isinstance(node.replica, EntityReplica) and not node.replica.is_sound():
            self.verify()

    def verify(self) -> None:
        """Take what the authority holds, and tell that this is it."""
        node, authority = self._node, self._world.authority_of(self._node)
        node.replica.replace(authority.head(), authority.state())
        node.core.authority_confirmed(authority.head(), node.now())
        node.core.state_confirmed()

    def audit(self) -> None:
        """Look through what lies in memory; what is damaged is replaced."""
        node, authority = self._node, self._world.authority_of(self._node)
        if isinstance(node.replica, LogReplica) or node.replica.is_sound():
            return
        if not node.core.fetch_snapshot(node.now(), damaged=True) and authority.available:
            node.replica.replace(authority.head(), authority.state())
        node.flush()

    def poll(self) -> None:
        """Ask the authority for what is new and, while alone, where the others are."""
        node, world = self._node, self._world
        idle = not node.running or node.paused or node.left or node.is_stranger
        if idle or not world.authority_of(node).available:
            return
        if len(node.alive_seen()) < 2:
            node.core.join(world.directory(node), node.now())
        self._load()
        if world.keyring is not None:
            self.offer_keyring(world.keyring)
        connection = (node.life, world.outages)
        if self._told != connection:
            # Told once at each connection (``node.agent.directory``); gossip does the rest.
            self._told = connection
            for node_id, generation in world.removals.items():
                node.core.removed(node_id, generation, node.now())
        self._tell_removals()
        node.flush()

    def _load(self) -> None:
        """Load the state from the authority, and say that it was confirmed there; nothing, while
        the authority lacks what this node has."""
        node, authority = self._node, self._world.authority_of(self._node)
        following = authority.after(Head(*node.replica.head()))
        if following is not None:
            node.replica.load(following)
        elif self.history.is_apart():
            return
        elif authority.head().version > node.replica.head()[0]:
            node.replica.replace(authority.head(), authority.state())
        node.core.authority_confirmed(authority.head(), node.now())

    def _tell_removals(self) -> None:
        removals = self._world.removals
        for node_id, generation in self._node.disk.removals.items():
            removals[node_id] = max(generation, removals.get(node_id, 0))
        self._node.disk.removals.clear()
