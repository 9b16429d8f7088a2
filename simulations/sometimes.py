"""What must happen now and then (GOSSIP 6.7): a batch of seeds in which one of these never occurs
tests less than it claims, and fails."""

import math
from typing import TYPE_CHECKING

from gossip.address import Address
from gossip.events import Event, IdentityTaken, MemberChanged
from gossip.suspicion import open_suspicion

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

MEANINGS = {
    "rebound": "a NAT gave a running node's packets another source address",
    "swapped": "two nodes came back at each other's address",
    "doubled": "two live processes had one node id",
    "replayed_late": "a packet turned up again after more than a minute",
    "cut_one_way": "packets passed from one node to another and not back",
    "cut_by_protocol": "a cut let one protocol through and not the other",
    "bad_spell": "a pair of nodes lost everything for a while",
    "clogged": "packets were held up and came in a burst",
    "refusals_hidden": "a firewall swallowed what a kernel refused",
    "buffer_overflowed": "a kernel had no room for a packet to a process that stood still",
    "wall_clock_stepped": "the wall clock of a running node jumped",
    "restarted_all": "all processes restarted at once",
    "rotated": "an operator took a step of a key rotation",
    "rotated_unheard": "an operator took one before all had heard of the one before",
    "outage": "the authority was away, and came back",
    "refuted_in_time": "a suspect refuted before it was declared failed",
    "refuted_too_late": "a member declared failed was alive all the time, and is again",
    "restarted_elsewhere": "a node came back at another address",
    "stale_answered": "a stale claim was answered with what is held",
    "zombie_blocked": "a tombstone refused the word of a node that had left the listing",
    "exhumed": "a node that had left the listing refuted, and is listed again",
    "saved_indirectly": "a helper's ack saved a member",
    "saved_by_stream": "an answer over TCP saved a member",
    "health_worst": "the health score reached its bound",
    "suspicion_shortest": "confirmations brought a suspicion down to its minimum",
    "suspicion_longest": "a suspicion without confirmation ran to its maximum",
    "stall_noticed": "a process noticed that it had stood still",
    "left": "a node left, and was seen to",
    "silent_leaver": "a node fell silent while leaving, and was taken for left",
    "renamed": "of two nodes with one name one went on under another",
    "stranger_refused": "a packet of another cluster was refused",
    "forced_out": "a process was forced out, and heard of it",
    "forced_out_alone": "somebody was forced out while the authority was away",
    "back_after_force": "a later life brought a node back that had been forced out",
    "unknown_skipped": "a message of a newer version's kind was skipped",
    "versions_apart": "a packet of software without a version in common was refused",
    "versions_mixed": "nodes of two versions became one cluster",
    "outlived": "a process heard of a later life of its node, and went above it",
    "id_taken": "of two processes with one node id one went on as a new node",
    "relay_refused": "an indirect probe was refused",
    "both_sides_buried": "two nodes that had each declared the other failed met again",
    "garbage_dropped": "a damaged packet was dropped",
    "write_interrupted": "a process ended while a small file was being written",
    "write_failed": "a small file couldn't be written on a full disk",
    "left_out": "a damaged keyring or list of peers was left out at a start",
    "identity_damaged": "a node's identity file was damaged, and it went on as a new node",
    "start_without_room": "a process ended at its start, since its generation couldn't be stored",
    "fence_complete": "a fence among several members was complete",
    "fence_missing": "a fence ended before a member that was heard had the version",
    "fence_unreachable": "a fence ended without a word from a member",
    "fence_repeated": "a fence asked a member again",
    "replay_dropped": "a sealed packet was refused the second time",
    "purge_asked": "a purge was lost, and asked for",
    "purge_skipped": "a purge couldn't be had, and was made up for",
    "purge_adopted": "a new process took others' purges for done",
    "purge_again": "a purge overtook a change, and was done again after it",
    "purge_limited": "a node had purged as often as it may",
    "register_contested": "of two who set a register at once the same one won",
    "register_over": "a register was over by itself",
}
"""Name -> what it is. ``make check`` runs a batch in which each of these occurs."""

_COUNTED = {
    "claims_answered": "stale_answered",
    "probes_saved_indirectly": "saved_indirectly",
    "probes_saved_by_stream": "saved_by_stream",
    "stalls": "stall_noticed",
    "relays_refused": "relay_refused",
    "dropped_garbage": "garbage_dropped",
    "messages_unknown": "unknown_skipped",
    "fence_questions_again": "fence_repeated",
    "dropped_forged": "garbage_dropped",
    "dropped_replayed": "replay_dropped",
    "purges_asked": "purge_asked",
    "purges_skipped": "purge_skipped",
    "purges_adopted": "purge_adopted",
    "purges_again": "purge_again",
    "purges_too_many": "purge_limited",
}
"""A counter of the core -> what it shows."""

_COUNTED_IN_CLEAR = {"dropped_version": "versions_apart", "dropped_cluster": "stranger_refused"}
"""The same; a damaged header that is to be sealed would count, too."""

_TOLERANCE = 0.01
"""Seconds by which a suspicion may miss its formula, for the timer's sake."""


class Sometimes:
    """Counts how often each has happened in one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.seen = dict.fromkeys(MEANINGS, 0)
        self.counted = dict(_COUNTED)
        self._suspected: dict[tuple[int, str], tuple[float, int]] = {}
        """(observer, subject) -> when a suspicion opened there, and among how many."""
        self._buried: dict[tuple[str, int, str], None] = {}
        """(observer's id, subject's generation, subject)."""
        self._addresses: dict[tuple[int, str], Address] = {}
        self._leaving: dict[tuple[int, str], float] = {}

    def happened(self, name: str, times: int = 1) -> None:
        """Something that is listed above."""
        self.seen[name] += times

    def changed(self, node: "Node", event: MemberChanged, *, known: bool) -> None:
        """A node reports a change of a member."""
        member, previous = event.member, event.previous
        if member.is_self:
            return
        key = (node.index, member.id)
        match previous, member.status:
            case "alive", "suspect":
                self._suspected[key] = (node.now(), node.core.size())
            case "suspect", "alive":
                self.seen["refuted_in_time"] += 1
            case "suspect", "failed":
                self._judged(node, member.id)
            case "failed", "alive":
                self._rose(node, member.id, member.generation)
            case None, "alive" if known:
                self.seen["exhumed"] += 1
            case _, "leaving":
                self._leaving[key] = node.now()
            case "leaving", "left":
                waited = node.now() - self._leaving.get(key, math.inf)
                silent = waited >= self._world.profile.leaving_timeout
                self.seen["silent_leaver" if silent else "left"] += 1
        if member.status == "failed":
            self._buried[node.id, member.generation, member.id] = None
        address = self._addresses.get(key)
        if address is not None and address != member.address:
            self.seen["restarted_elsewhere"] += 1
        self._addresses[key] = member.address

    def refused(self, node: "Node", sender: "Node") -> None:
        """A node found a packet's claim stale: a zombie's, if it doesn't list the sender."""
        if node.status_of(sender) is None:
            self.seen["zombie_blocked"] += 1

    def collect(self, node: "Node") -> None:
        """Read a process' counters; once, when it has ended or the run has."""
        for counter, name in self.counted.items():
            self.seen[name] += node.core.counters[counter]
        if self._world.keyring is None:
            for counter, name in _COUNTED_IN_CLEAR.items():
                self.seen[name] += node.core.counters[counter]

        self.look(node)

    def look(self, node: "Node") -> None:
        """Now and then: how well does a process think it is?"""
        if node.health_score == self._world.profile.health_score_max > 0:
            self.seen["health_worst"] += 1

    def told(self, event: Event) -> None:
        """What a process is told about itself."""
        if isinstance(event, IdentityTaken):
            self.seen["id_taken"] += 1

    def outlived(self) -> None:
        """A process went above a generation that it heard of."""
        self.seen["outlived"] += 1

    def _rose(self, node: "Node", subject: str, generation: int) -> None:
        if (node.id, generation, subject) not in self._buried:
            return
        self.seen["refuted_too_late"] += 1
        if (subject, node.generation, node.id) in self._buried:
            self.seen["both_sides_buried"] += 1

    def _judged(self, node: "Node", subject: str) -> None:
        since = self._suspected.get((node.index, subject))
        if since is None:
            return
        begun, members = since
        lasted = node.now() - begun
        case = open_suspicion(self._world.profile, members, "", 0.0)
        if case.confirmations_expected == 0:
            return
        if abs(lasted - case.minimum) < _TOLERANCE:
            self.seen["suspicion_shortest"] += 1
        elif abs(lasted - case.maximum) < _TOLERANCE:
            self.seen["suspicion_longest"] += 1
