"""Safety: what must hold at every step, whatever fails (GOSSIP 6.5).

A broken rule raises AssertionError out of the step that broke it. The world knows the truth that no
node knows: which lives each node has led, and how high it has raised its own incarnation.
"""

import math
from typing import TYPE_CHECKING

from gossip.events import (
    AuthorityAdopted,
    ChangesetApplied,
    Event,
    MemberChanged,
    Purged,
    RegisterChanged,
    Renamed,
)
from gossip.limits import COUNTER_MAX
from gossip.member import MemberView, Status
from gossip.messages.membership import Verdict
from gossip.replica import Version
from simulations.evidence import check_held, drops, is_listed, is_whole, told
from simulations.patience import Patience
from simulations.rumors import Rumors
from simulations.sometimes import Sometimes

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

Precedence = tuple[int, int, int]
"""(generation, incarnation, rank of the status)."""

_ANSWER_SECONDS = 0.1
"""How late a timer or an answer may be."""
_AUDITS_PER_SECOND = 8
STORM_EVENTS = 1_500
"""So many packets, frames and timers of a node in one second are a storm."""
_RANKS = {status.label: int(status) for status in Status}
_GONE = ("leaving", "left")


class Checks:
    """Watches one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.sometimes = Sometimes(world)
        self._patience = Patience(world)
        self.rumors = Rumors(world)
        self._highest: dict[str, tuple[int, int]] = {}
        """The highest (generation, incarnation) that any process of a node id has had."""
        self._clusters: dict[str, dict[str, None]] = {}
        """Which clusters a node id has lived in."""
        self._forced: dict[str, int] = {}
        """Who was forced out by an operator, up to which generation."""
        self._leavers: dict[tuple[str, int], None] = {}
        self._held: dict[tuple[int, int, str], Precedence] = {}
        """By (observer, its life, subject): the last precedence seen there."""
        self._unexplained: dict[int, tuple[int, int]] = {}
        """By node: an incarnation that it has raised in this step for no reason known yet."""
        self._excused: dict[int, None] = {}
        self._applied: dict[tuple[int, int], Version] = {}
        self._dropped = 0
        """How much the node that is about to read had dropped before."""
        self._audits = False
        self._audited = self._events_before = 0

    def begin_audits(self) -> None:
        """Look at whole tables too, in turn, not just at what the nodes report."""
        self._audits = True
        nodes, events = self._world.nodes, self._world.clock.events
        rate = (events - self._events_before) / len(nodes)
        assert rate < STORM_EVENTS, f"a storm: {rate:.0f} events a node in a second"
        self._events_before = events
        if self._world.network.is_lopsided():
            self.sometimes.happened("cut_one_way")
        for _ in range(math.ceil(len(nodes) / _AUDITS_PER_SECOND)):
            self._audited = (self._audited + 1) % len(nodes)
            if nodes[self._audited].running:
                self._audit(nodes[self._audited])
        self._world.schedule(1.0, self.begin_audits)

    # What the nodes tell

    def lives(self, node: "Node") -> None:
        """A process begins, or goes on as a later life."""
        self._patience.lives(node)
        self.rumors.begins(node)
        self._clusters.setdefault(node.id, {})[node.cluster] = None
        self._note(node)

    def raised(self, node: "Node") -> None:
        """A process raises its incarnation. Only who is accused, or said to have left, has a reason
        to; other reasons are told in the same step."""
        self._note(node)
        if self._excused.pop(node.index, self) is not self:
            return
        last = (node.id, node.generation, node.incarnation - 1)
        if not self._patience.is_accused(last):
            self._unexplained[node.index] = (node.generation, node.incarnation)

    def excuse(self, node: "Node") -> None:
        """What it is about to do changes its own record: it may raise its incarnation once."""
        self._excused[node.index] = None

    def _note(self, node: "Node") -> None:
        mine = (node.generation, node.incarnation)
        self._highest[node.id] = max(self._highest.get(node.id, (0, 0)), mine)

    def goes_on(self, node: "Node", former: int) -> None:
        """A process goes on with a higher generation than its former one. Being forced out is no
        reason to; a later life's trace is, or another process of the same generation."""
        if former <= self._forced.get(node.id, 0) and node.generation == former + 1:
            shared = self._patience.processes(node.id, former) > 1
            assert shared, f"node {node.index} was forced out, and came back by itself"
        self.lives(node)

    def forced_out(self, node_id: str, generation: int) -> None:
        """An operator makes a node leave."""
        self._forced[node_id] = max(generation, self._forced.get(node_id, 0))

    def was_forced_out(self, node: "Node") -> None:
        """A process takes no part any more because it was made to leave."""
        self.sometimes.happened("forced_out")
        forced = self._forced.get(node.id, 0)
        where = f"node {node.index} ends its part in generation {node.generation}"
        assert node.generation <= forced, f"{where}, by force that was used up to {forced}"

    def leaves(self, node: "Node") -> None:
        self._leavers[node.id, node.generation] = None

    def stepped(self, node: "Node") -> None:
        """After each step of a node: its replica's version never goes back, not even over a crash
        (DESIGN 1, P2)."""
        version = node.replica.head()[0]
        assert version >= node.highest, f"node {node.index} went back to {version}"
        raised = self._unexplained.get(node.index)
        assert raised is None, f"node {node.index} refutes what nobody says: {raised}"
        node.highest = version

    def observed(self, node: "Node", event: Event) -> None:
        """After each event that a node reports."""
        if isinstance(event, AuthorityAdopted):
            self._unexplained.pop(node.index, None)
        if isinstance(event, Renamed):
            self._unexplained.pop(node.index, None)
            self._check_renamed(node, event)
        if isinstance(event, MemberChanged):
            if event.member.is_self and event.member.status == "leaving":
                self._unexplained.pop(node.index, None)
                self.leaves(node)
            returns = (event.previous, event.member.status) == ("left", "alive")
            if returns and event.member.id in self._forced:
                self.sometimes.happened("back_after_force")
            previous = self._held.get((node.index, node.life, event.member.id))
            self._check_view(node, event.member)
            self._patience.changed(node, event)
            self.sometimes.changed(node, event, known=previous is not None)
        elif isinstance(event, ChangesetApplied):
            self._check_applied(node, event.changeset.version)
        elif isinstance(event, Purged | RegisterChanged):
            self.rumors.observed(node, event)
        else:
            self.sometimes.told(event)

    def told(self, node: "Node", data: bytes) -> list[Verdict]:
        """What a packet or frame that a node is about to read says of others that it doesn't hold
        of them yet."""
        if not self._audits:
            return []
        sender, verdicts = told(node, data)
        news = [verdict for verdict in verdicts if self._is_news(node, verdict)]
        if not (news and is_listed(node, sender) and is_whole(data)):
            return []
        self._dropped = drops(node)
        return news

    def _is_news(self, node: "Node", verdict: Verdict) -> bool:
        held = self._held.get((node.index, node.life, verdict.node_id))
        return held is not None and held[0] == verdict.generation and held[1] < verdict.incarnation

    def read(self, node: "Node", verdicts: list[Verdict]) -> None:
        """It has read it."""
        if verdicts and node.running and drops(node) == self._dropped:
            check_held(node, verdicts)

    def refused(self, node: "Node", sender: "Node | None") -> None:
        """A node has found something in a packet or frame to be stale."""
        if sender is not None:
            self.sometimes.refused(node, sender)

    # The rules

    def _audit(self, node: "Node") -> None:
        self.sometimes.look(node)
        views = node.members()
        ids = dict.fromkeys(view.id for view in views)
        assert len(ids) == len(views), f"node {node.index} lists a node twice"
        for view in views:
            self._check_view(node, view)
            if view.is_self:
                mine = (node.generation, node.incarnation)
                assert (view.generation, view.incarnation) == mine, f"not its own record: {view}"

    def _check_view(self, node: "Node", view: MemberView) -> None:
        """A record never moves back, isn't above what its owner has said, and nobody else has it
        leave."""
        where = f"node {node.index} holds {view.name} for {view.status}"
        clusters = self._clusters.get(view.id, {})
        assert node.cluster in clusters or not clusters, f"{where}, which is of another cluster"
        precedence = (view.generation, view.incarnation, _RANKS[view.status])
        key = (node.index, node.life, view.id)
        held = self._held.get(key)
        assert held is None or precedence >= held, f"{where}: moved back from {held}: {precedence}"
        self._held[key] = precedence
        if (view.incarnation, view.status) == (COUNTER_MAX, "left"):
            forced = self._forced.get(view.id, 0)
            assert view.generation <= forced, f"{where} by force that was used up to {forced}"
            return
        truth = self._highest.get(view.id)
        assert truth is not None, f"{where}, which has never lived"
        assert precedence[:2] <= truth, f"{where} at {precedence[:2]}; it is at {truth} itself"
        if view.status in _GONE:
            left = (view.id, view.generation) in self._leavers or (view.is_self and node.left)
            assert left, f"{where}, which never began to leave"

    def _check_renamed(self, node: "Node", event: Renamed) -> None:
        """Only to a node of that name that answered does another leave it: one that the lower node
        id belongs to and that has run while it was asked, which is twice at most."""
        asked = 2 * self._world.profile.probe_timeout + _ANSWER_SECONDS

        def answered(other: "Node") -> bool:
            ended = node.clock_offset + node.clock_rate * other.ended_at
            recent = other.life > 0 and node.awake_since(ended) <= asked
            has = other.called == event.wanted and (other.running or recent)
            had = other.called_before == event.wanted and recent
            return other.id < node.id and (has or had)

        where = f"node {node.index} left its name {event.wanted}"
        assert any(map(answered, self._world.nodes)), f"{where}, and nobody has it"
        self.sometimes.happened("renamed")

    def _check_applied(self, node: "Node", version: Version) -> None:
        """Each changeset is applied once, in order."""
        key = (node.index, node.life)
        last = self._applied.get(key, (0, 0, 0))
        assert version > last, f"node {node.index} applied {version} after {last}"
        self._applied[key] = version
