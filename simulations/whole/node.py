"""A whole node, and what its clients are answered."""

import math
from typing import TYPE_CHECKING, Literal, Protocol, cast

from gossip.events import Event, SnapshotInstalled
from gossip.replica import Changeset
from simulations import facts
from simulations.application import Application
from simulations.disk import Disk
from simulations.machine import KERNEL_BUFFER_PACKETS
from simulations.node import CLUSTER, Node
from simulations.whole.agent import Agent
from simulations.whole.served import ServedReplica
from store.poll import Poll, patience

if TYPE_CHECKING:
    from simulations.whole.world import WholeWorld
    from simulations.world import World

POLL_SECONDS = 5.0
"""``db_update_frequency``."""
_FIRST_POLLERS = 3
"""Of the live nodes so many look at the authority without waiting for others to
(``node.agent.limits.LISTENERS``)."""
_LOOK_SECONDS = 1.0
_AUDIT_SECONDS = 7.0

Answer = Literal["committed", "refused", "unknown"]


class Companion(Protocol):
    """What runs in a node's process beside what is here: its tie to a database of SQL."""

    def started(self) -> None: ...

    def ended(self) -> None: ...

    def paused(self) -> None: ...

    def resumed(self) -> None: ...


class WholeNode(Node):
    """See ``simulations.whole``."""

    def __init__(
        self, world: "World", index: int, disk: Disk | None = None, cluster: str = CLUSTER
    ) -> None:
        super().__init__(world, index, disk, cluster)
        whole = cast("WholeWorld", world)
        self.application: WholeApplication = WholeApplication(whole, self)
        self.write_seconds = whole.rng.choice([0.01, 0.01, 0.3, 5.0])
        """How far its replica file is behind what it serves."""
        self.companion: Companion | None = None
        self.awake_at = 0.0
        """Since when its process hasn't stood still; infinity while it does."""

    @property
    def served(self) -> ServedReplica:
        return cast("ServedReplica", self.replica)

    def start(self, node_id: str = "") -> None:
        assert not self.running, f"node {self.index} runs already"
        if self.served.file.damaged:
            self._world.happened("replica_set_aside")
        self.replica = self.served.reborn()
        self.highest = self.replica.head()[0]
        super().start(node_id)
        if self.companion is not None:
            self.companion.started()

    def pause(self, kernel_buffer: int = KERNEL_BUFFER_PACKETS) -> None:
        super().pause(kernel_buffer)
        self.awake_at = math.inf
        self.application.agent.loop.pause()
        if self.companion is not None:
            self.companion.paused()

    def resume(self) -> None:
        was_paused, life = self.paused, self.life
        super().resume()
        if was_paused and self.running and self.life == life:
            self.application.agent.loop.resume()
            if self.companion is not None:
                self.companion.resumed()
        self.awake_at = self._world.now

    def _end(self, fact: int) -> None:
        super()._end(fact)
        self.application.agent.end(at_once=fact == facts.SILENCE)
        if self.companion is not None:
            self.companion.ended()


class WholeApplication(Application):
    """That of one node."""

    def __init__(self, world: "WholeWorld", node: WholeNode) -> None:
        super().__init__(world, node)
        self._whole = world
        self._whole_node = node
        self._poll = Poll(POLL_SECONDS, world.rng)
        self._confirmed = False
        """Whether this process has read the authority."""
        self.looks = 0
        """How often any process of this node has looked at the authority."""
        self.agent: Agent

    def begun(self) -> None:
        node, world = self._whole_node, self._whole
        self._confirmed = False
        self.agent = Agent(world, node, node.served)
        self.agent.begin()
        super().begun()
        self._poll = Poll(POLL_SECONDS, world.rng, node.now(), self._patience)
        world.schedule(world.rng.uniform(0.0, 0.1), self._turn, node.life, True)
        world.schedule(world.rng.uniform(0.0, _AUDIT_SECONDS), self._look_through, node.life)

    def ask(self, body: bytes) -> Answer:
        """A client writes here, through the Admin API."""
        node, world = self._whole_node, self._whole
        authority = world.authority_of(node)
        if not (authority.available and self.history.may_write()):
            world.happened("write_refused")
            return "refused"
        trouble, authority.at_commit = authority.at_commit, ""
        if trouble == "undone":
            world.happened("commit_unknown")
            return "unknown"
        changeset = authority.commit(body)
        if trouble:
            # Nobody announces it: whoever looks next finds it.
            world.happened("commit_unknown")
            if trouble == "killed":
                world.happened("killed_after_commit")
                node.crash()
            return "unknown"
        world.promises.answered(node, changeset)
        if authority.seconds:
            world.happened("authority_slow")
            world.schedule(authority.seconds, self._committed_late, changeset, node.life)
        else:
            self._published(changeset)
        return "committed"

    def noticed(self, event: Event) -> None:
        super().noticed(event)
        if isinstance(event, SnapshotInstalled):
            self._whole.happened("snapshot_installed")
        self._start_rule()

    def poll(self) -> None:
        self.looks += 1
        super().poll()
        if self._whole.authority_of(self._node).available:
            self._confirmed = True
            self._start_rule()

    # What production does about its own commits

    def _committed_late(self, changeset: Changeset, life: int) -> None:
        if not self._node.is_idle(life):
            self._published(changeset)

    def _published(self, changeset: Changeset) -> None:
        node = self._node
        verdict = self.committed(changeset)
        # What another has written in between mostly comes by gossip.
        if verdict != "preparing" and node.replica.head()[0] < changeset.version:
            self._whole.schedule(0.1, self._miss, changeset, node.life)
        while verdict == "preparing":
            verdict = node.replica.take(*changeset)
        node.flush()

    def _miss(self, changeset: Changeset, life: int) -> None:
        node = self._node
        behind = not node.is_idle(life) and node.replica.head()[0] < changeset.version
        if behind and self._whole.authority_of(node).available:
            self._load()
            node.flush()

    # Its own turns

    def _turn(self, life: int, first: bool = False) -> None:
        """Look at the authority when it is this node's turn (``node.agent.following``)."""
        node, world = self._whole_node, self._whole
        if not node.running or node.life != life:
            return
        world.schedule(_LOOK_SECONDS, self._turn, life)
        if node.is_idle(life) or not world.authority_of(node).available:
            self._start_rule()
            return
        now = node.now()
        self._poll.confirmed(now - node.core.confirmation_age(now))
        if first or not self._confirmed or self._poll.due(now):
            self.poll()

    def _patience(self) -> float:
        alive = [node_id for node_id, _ in self._node.alive_seen()]
        if self._node.id in alive[:_FIRST_POLLERS]:
            return 0.0
        return patience(POLL_SECONDS, len(alive))

    def _start_rule(self) -> None:
        """What is held may be served: the authority has confirmed it, or nobody who is heard holds
        anything newer (DESIGN 5)."""
        node = self._whole_node
        if self.agent.listening or node.is_idle(node.life):
            return
        loaded = node.served.serving.loaded
        if self._confirmed or (loaded and not self._whole.authority_of(node).available):
            mine = node.replica.head()[0]
            others = [m.serving for m in node.members() if m.status == "alive" and not m.is_self]
            if self._confirmed or all(version is None or version <= mine for version in others):
                self.agent.listen()

    def _look_through(self, life: int) -> None:
        """Audits: of what lies in memory, and of what the worker holds."""
        node, world = self._whole_node, self._whole
        if not node.running or node.life != life:
            return
        world.schedule(_AUDIT_SECONDS, self._look_through, life)
        if not node.is_idle(life):
            self.audit()
            if node.running and node.life == life:
                self.agent.audit()
