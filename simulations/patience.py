"""Patience: whoever may live isn't declared failed before it had its time to refute.

That time is Lifeguard's (``gossip.suspicion`` has its formula and what it means), worked out here
once more, from what the world knows: how many members ran in the observer's eyes when the case was
opened, and how many nodes have ever held the accused for suspect. Only a kernel that refuses for a
dead process shortens it, and no table: who is said to be failed there is accused anew.
"""

import math
from typing import TYPE_CHECKING

from gossip.events import MemberChanged
from gossip.member import MemberView
from gossip.profiles import Profile

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

Subject = tuple[str, int, int]
"""(node id, generation, incarnation)."""

_RUNNING = ("alive", "suspect", "leaving")
_ACCUSED = ("suspect", "failed")
_TOLERANCE = 0.001


def refuting_time(profile: Profile, members: int, accusers: int) -> float:
    """Seconds that an accused member has, among so many members, with so many distinct accusers."""
    shortest = profile.suspicion_mult * max(1.0, math.log10(members)) * profile.probe_interval
    longest = profile.suspicion_max_mult * shortest
    expected = profile.suspicion_mult - 2
    if expected <= 0 or members - 2 < expected:
        return shortest
    confirmations = min(max(0, accusers - 1), expected)
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(shortest, longest - (longest - shortest) * share)


class Patience:
    """Watches how every process judges the others."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._processes: dict[tuple[str, int], int] = {}
        """How many processes have had a (node id, generation)."""
        self._accusers: dict[Subject, dict[str, None]] = {}
        """Who has ever held it for suspect or failed, by node id."""
        self._observers: dict[str, dict[str, None]] = {}
        """Who has ever listed a node, by its id."""
        self._statuses: dict[tuple[int, int], dict[str, str]] = {}
        """By (observer, its life): the last status of each other member that it has told."""
        self._opened: dict[tuple[int, int, Subject], tuple[float, int]] = {}
        """By (observer, its life, subject): since when it is suspect there, among how many."""
        self._declared: dict[Subject, None] = {}
        """Subjects that somebody has declared failed."""

    def lives(self, node: "Node") -> None:
        """A process begins, or goes on as a later life."""
        identity = (node.id, node.generation)
        self._processes[identity] = self._processes.get(identity, 0) + 1

    def processes(self, node_id: str, generation: int) -> int:
        """How many have had it."""
        return self._processes.get((node_id, generation), 0)

    def is_accused(self, subject: Subject) -> bool:
        """Whether any node has ever held this for other than alive."""
        return subject in self._accusers

    def changed(self, node: "Node", event: MemberChanged) -> None:
        """A node reports a change of a member."""
        view = event.member
        observer = (node.index, node.life)
        subject = (view.id, view.generation, view.incarnation)
        self._observers.setdefault(view.id, {})[node.id] = None
        statuses = self._statuses.setdefault(observer, {})
        if not view.is_self:
            statuses[view.id] = view.status
        if view.status != "alive":
            accusers = self._accusers.setdefault(subject, {})
            if view.status in _ACCUSED:
                accusers[node.id] = None
        if view.status == "suspect" and (*observer, subject) not in self._opened:
            running = sum(status in _RUNNING for status in statuses.values())
            self._opened[*observer, subject] = (node.now(), running + 1)
        if view.status == "failed":
            if event.previous in _RUNNING[:2]:
                where = f"node {node.index} holds {view.name} for failed"
                assert not node.reads_table, f"{where} by the word of a table alone"
            if subject not in self._declared:
                self._declared[subject] = None
                self._check(node, view, subject)

    def _check(self, node: "Node", view: MemberView, subject: Subject) -> None:
        """The first to declare it failed has waited for as long as it must."""
        if not self._cannot_be_refused(view):
            return
        begun, members = self._opened.get((node.index, node.life, subject), (node.now(), 1))
        waited = node.awake_since(begun)
        accusers = len(self._accusers[subject]) + self._hearsay(view, subject)
        patience = refuting_time(self._world.profile, members, accusers)
        where = f"node {node.index} declared {view.name} failed after {waited:.3f} s"
        least = f"{accusers} accusers among {members} leave it {patience:.3f} s"
        assert waited >= patience - _TOLERANCE, f"{where}: {least}"

    def _hearsay(self, view: MemberView, subject: Subject) -> int:
        """How many more may speak as accusers: who has buried the accused tells the last word that
        it has heard of it as its own (``gossip.members.Members.held_claim``)."""
        listing = [
            node.id
            for node in self._world.nodes
            if node.running and any(member.id == view.id for member in node.members())
        ]
        accusers = self._accusers[subject]
        return sum(
            observer not in accusers and observer not in listing
            for observer in self._observers.get(view.id, ())
        )

    def _cannot_be_refused(self, view: MemberView) -> bool:
        """Whether no kernel can say that this process is gone: it lives, or its machine has no
        power. (Where a copy of the disk gave two processes one generation, the other's may.)"""
        if self._processes.get((view.id, view.generation)) != 1:
            return False
        return any(
            node.id == view.id
            and node.generation == view.generation
            and (node.running or not node.power)
            for node in self._world.nodes
        )
