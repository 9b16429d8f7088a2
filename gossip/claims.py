"""What follows from claims: who is told, and how this node answers those about itself.

``members`` decides whether a claim holds; here news is spread, stale claims are corrected, and
accusations against this node refuted.
"""

import random
from collections.abc import Sequence

from gossip import limits
from gossip.counters import Counters
from gossip.effects import PersistIncarnation
from gossip.events import GenerationOutdated, MemberChanged, NameTaken
from gossip.health import Health
from gossip.identity import wire_id
from gossip.member import Member, Status, view
from gossip.members import Admission, Members, alive_claim
from gossip.messages import Alive, Message, Verdict
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.updates import Updates
from gossip.wire import encode_part


class Claims:
    """Settles claims, this node's own and those of others."""

    def __init__(
        self,
        members: Members,
        updates: Updates,
        outbox: Outbox,
        health: Health,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._members = members
        self._me = members.me
        self._updates = updates
        self._outbox = outbox
        self._health = health
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._corrections: dict[str, Message] = {}
        self._generation_told = self._me.generation
        self._conflicts_told: dict[tuple[str, str], None] = {}
        self._names = {self._me.metadata.name: self._me.node_id}

    def introduce(self) -> None:
        """This node's own record rides on its first packets, so that strangers know it."""
        self._updates.put(self._me.node_id, encode_part(alive_claim(self._me)))

    def alive(self, claim: Alive, origin: Origin, now: float) -> None:
        """Somebody says that a node lives."""
        if claim.node_id == self._me.node_id:
            self._alive_about_me(claim)
            return
        admission = self._members.admit_alive(claim, now)
        self._settle(claim, admission, origin, now)
        member = admission.member
        if admission.outcome == "same" and member is not None and member.tag != claim.tag:
            self._conflict(NameTaken("node id", claim.node_id, claim.address, claim.node_id))
        elif admission.outcome == "changed" and member is not None:
            self._check_name(member)

    def verdict(self, claim: Verdict, origin: Origin, now: float) -> None:
        """Somebody says that a node is suspect, failed, leaving or has left."""
        if claim.node_id == self._me.node_id:
            self._verdict_about_me(claim)
            return
        held = self._members.get(claim.node_id)
        running = held is not None and held.status <= Status.SUSPECT
        if origin.stream is not None and claim.status is Status.FAILED and running:
            # A table may be old news, from the far side of a partition: the accused, whom we may
            # well hear, gets its time to refute.
            claim = claim._replace(status=Status.SUSPECT, accuser=self._teller(origin))
        self._settle(claim, self._members.admit_verdict(claim, now), origin, now)

    def accuse(self, accusation: Verdict, now: float) -> None:
        """This node's own probe failed."""
        self._counters.add("suspicions")
        self._settle(accusation, self._members.admit_verdict(accusation, now), None, now)

    def condemn(self, member: Member, now: float) -> None:
        """This node declares a member failed."""
        self._counters.add("failures")
        verdict = self._members.verdict(member, Status.FAILED)
        self._settle(verdict, self._members.admit_verdict(verdict, now), None, now)

    def advance(self, now: float) -> None:
        """Declare left who fell silent while leaving."""
        for member in self._members.sweep(now):
            verdict = self._members.verdict(member, Status.LEFT)
            self._settle(verdict, self._members.admit_verdict(verdict, now), None, now)

    def correct(self, origin: Origin) -> None:
        """Tell a sender what is held instead of the stale claims in its packet, or a node that
        restarted with a low incarnation stays dead for ever (hashicorp/memberlist#311)."""
        corrections, room = [], limits.PACKET_BODY_BYTES_MAX
        for correction in self._corrections.values():
            room -= len(encode_part(correction))
            if room >= 0:
                corrections.append(correction)
        self._corrections.clear()
        # On a stream the whole table is exchanged anyway.
        if corrections and origin.stream is None:
            self._counters.add("claims_answered", len(corrections))
            self._outbox.answer(origin, corrections)

    def declare(self, status: Status, now: float) -> None:
        """This node says of itself that it is leaving, or has left. Final for this process."""
        previous = self._me.status
        if previous is Status.ALIVE:
            self._raise_incarnation(self._me.incarnation)
        self._me.status = status
        self._me.status_since = now
        claim = self._members.verdict(self._me)
        self._updates.put(self._me.node_id, encode_part(claim))
        self._outbox.notify(MemberChanged(view(self._me, is_self=True), previous.label))
        self.repeat()

    def repeat(self) -> None:
        """Say again what this node said of itself last."""
        self._outbox.broadcast(self._members.reachable(), [self._members.verdict(self._me)])

    def _settle(
        self, claim: Alive | Verdict, admission: Admission, origin: Origin | None, now: float
    ) -> None:
        outcome, member, previous = admission
        if outcome == "changed" and member is not None:
            self._counters.add("claims_changed")
            self._updates.put(claim.node_id, encode_part(claim))
            label = None if previous is None else previous.label
            self._outbox.notify(MemberChanged(view(member, is_self=False), label))
            if self._is_urgent(claim, previous, origin):
                self._spread(claim, member, origin)
        elif outcome == "confirmed":
            self._updates.put(claim.node_id, encode_part(claim))
        elif outcome == "stale":
            self._counters.add("claims_stale")
            held = self._members.held_claim(wire_id(claim.node_id))
            if held is not None and origin is not None:
                self._corrections[claim.node_id] = held
        elif outcome in ("unknown", "refused"):
            self._counters.add(f"claims_{outcome}")

    def _is_urgent(
        self, claim: Alive | Verdict, previous: Status | None, origin: Origin | None
    ) -> bool:
        """Whether others should hear at once, not just by piggyback: our own verdicts, and what a
        table exchange brought (a join, a healed partition), but not the table that a newcomer is
        given: everyone else has that. Where the first to know can't tell all, whoever hears passes
        it on, once: a claim changes a table once."""
        if origin is None:
            return True
        if origin.stream is None:
            return len(self._members.reachable()) > limits.DIRECT_MEMBERS_MAX
        return previous is not None or wire_id(claim.node_id) == origin.sender

    def _spread(self, claim: Alive | Verdict, subject: Member, origin: Origin | None) -> None:
        sender = None if origin is None else origin.sender
        receivers = [m for m in self._members.reachable() if m.wire != sender]
        if len(receivers) > limits.DIRECT_MEMBERS_MAX:
            receivers = self._rng.sample(receivers, self._profile.eager_fanout)
        if isinstance(claim, Verdict) and subject not in receivers and subject.wire != sender:
            # The accused above all: it may be able to refute.
            receivers.append(subject)
        self._outbox.broadcast(receivers, [claim])

    def _teller(self, origin: Origin) -> str:
        """The node id of who sent a claim about somebody else: a member."""
        sender = self._members.sender(origin.sender)
        return self._me.node_id if sender is None else sender.node_id

    def _alive_about_me(self, claim: Alive) -> None:
        mine = (self._me.generation, self._me.incarnation)
        if claim.generation > self._me.generation:
            self._outdated(claim.generation)
        elif (claim.generation, claim.incarnation) < mine:
            self._corrections[claim.node_id] = self._own_claim()
        elif claim.tag != self._me.tag:
            # Refuting would start a war of incarnations between the two.
            self._conflict(NameTaken("node id", claim.node_id, claim.address, claim.node_id))
        elif claim.incarnation > self._me.incarnation:
            # Our own, from before the incarnation was stored: go above it.
            self._raise_incarnation(claim.incarnation)
            self._announce_myself()

    def _verdict_about_me(self, claim: Verdict) -> None:
        if claim.generation > self._me.generation:
            self._outdated(claim.generation)
        elif (claim.generation, claim.incarnation) < (self._me.generation, self._me.incarnation):
            self._corrections[claim.node_id] = self._own_claim()
        elif self._me.status is Status.ALIVE:
            self._counters.add("refutations")
            self._health.add(1)
            self._raise_incarnation(claim.incarnation)
            self._announce_myself()

    def _own_claim(self) -> Alive | Verdict:
        if self._me.status is Status.ALIVE:
            return alive_claim(self._me)
        return self._members.verdict(self._me)

    def _raise_incarnation(self, heard: int) -> None:
        self._me.incarnation = max(self._me.incarnation, heard) + 1
        self._outbox.add(PersistIncarnation(self._me.incarnation))

    def _announce_myself(self) -> None:
        claim = alive_claim(self._me)
        self._updates.put(self._me.node_id, encode_part(claim))
        receivers: Sequence[Member] = self._members.reachable()
        if len(receivers) > limits.DIRECT_MEMBERS_MAX:
            receivers = self._rng.sample(receivers, self._profile.eager_fanout)
        self._outbox.broadcast(receivers, [claim])

    def _outdated(self, generation: int) -> None:
        if generation > self._generation_told:
            self._generation_told = generation
            self._counters.add("identity_conflicts")
            self._outbox.notify(GenerationOutdated(generation))

    def _check_name(self, member: Member) -> None:
        name = member.metadata.name
        holder = self._members.get(self._names.get(name, member.node_id))
        if len(self._names) >= 2 * limits.MEMBERS_MAX:
            self._names = {m.metadata.name: m.node_id for m in self._members.listed()}
        self._names[name] = member.node_id
        if holder is None or holder is member or holder.metadata.name != name:
            return
        if holder.status <= Status.SUSPECT:
            self._conflict(NameTaken("name", name, member.address, member.node_id))

    def _conflict(self, event: NameTaken) -> None:
        """Count always, tell once."""
        self._counters.add("identity_conflicts")
        if (event.value, event.holder) in self._conflicts_told:
            return
        if len(self._conflicts_told) >= limits.TOMBSTONES_MAX:
            del self._conflicts_told[next(iter(self._conflicts_told))]
        self._conflicts_told[event.value, event.holder] = None
        self._outbox.notify(event)
