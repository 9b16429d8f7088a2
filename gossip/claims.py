"""What follows from claims: who is told, and how this node answers those about itself.

``members`` decides whether a claim holds; here news is spread, stale claims are corrected, and
accusations against this node refuted.
"""

import random

from gossip import limits
from gossip.allegiance import Allegiance
from gossip.contest import Contests
from gossip.counters import Counters
from gossip.events import ForcedOut, MemberChanged, MemberForgotten
from gossip.health import Health
from gossip.identity import wire_id
from gossip.member import Member, Status, record_mark, view
from gossip.members import Admission, Members, alive_claim
from gossip.messages.membership import Alive, Verdict
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord
from gossip.profiles import Profile
from gossip.updates import Updates
from gossip.wire import encode_part


class Claims:
    """Settles claims, this node's own and those of others."""

    def __init__(
        self,
        members: Members,
        own: OwnRecord,
        allegiance: Allegiance,
        contests: Contests,
        updates: Updates,
        outbox: Outbox,
        health: Health,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._members = members
        self._me = members.me
        self._own = own
        self._allegiance = allegiance
        self._contests = contests
        self._updates = updates
        self._outbox = outbox
        self._health = health
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._corrections: dict[str, Alive | Verdict] = {}
        self._marked: list[tuple[Member, int]] = []
        """Of the packet that is being read: what members say of their own records."""

    def alive(self, claim: Alive, origin: Origin, now: float) -> None:
        """Somebody says that a node lives."""
        if claim.node_id == self._me.node_id:
            self._alive_about_me(claim, now)
            return
        if self._allegiance.refuses(claim, origin, now):
            return
        held = self._members.get(claim.node_id)
        before = None if held is None else (held.generation, held.address)
        admission = self._members.admit_alive(claim, now)
        self._settle(claim, admission, origin, now)
        member = admission.member
        if admission.outcome == "changed" and member is not None:
            self._contests.check_name(member, now)
            if before != (member.generation, member.address):
                self._doubt_former_tenants(member, now)

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

    def force_out(self, claim: Verdict, now: float) -> None:
        """A node is made to leave, at an operator's or at the authority's word."""
        if claim.node_id == self._me.node_id:
            self._verdict_about_me(claim)
            return
        admission = self._members.remove(claim, now)
        if admission.outcome == "changed":
            self._counters.add("forced_out")
        self._settle(claim, admission, None, now)

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
        for member in self._members.buried:
            self._outbox.notify(MemberForgotten(view(member, is_self=False)))
        self._members.buried.clear()

    def marked(self, member: Member, mark: int) -> None:
        """In the packet that is being read, a member tells its ``record_mark``."""
        if mark and mark != record_mark(member):
            self._marked.append((member, mark))

    def compare_records(self, now: float) -> None:
        """A packet was read. Where a member's record must be another one than the one held, the new
        one was lost on its way here: shown the old one, that member answers with what is true.
        Table exchanges would find it, minutes later."""
        if not self._marked:
            return
        marked, self._marked = self._marked, []
        for member, mark in marked:
            due = now - member.record_asked_at >= self._profile.probe_interval
            if mark != record_mark(member) and member.status < Status.FAILED and due:
                member.record_asked_at = now
                self._counters.add("records_asked")
                self._outbox.send(member, [alive_claim(member)])

    def correct(self, origin: Origin) -> None:
        """Tell a sender what is held instead of the stale claims in its packet, or a node that
        restarted with a low incarnation stays dead for ever (hashicorp/memberlist#311)."""
        corrections: list[Alive | Verdict] = []
        room = limits.PACKET_BODY_BYTES_MAX
        for correction in self._corrections.values():
            room -= len(encode_part(correction))
            if room >= 0:
                corrections.append(correction)
        self._corrections.clear()
        if origin.stream is None:
            if corrections:
                self._counters.add("claims_answered", len(corrections))
                self._outbox.answer(origin, corrections)
            return
        # On a stream the whole table is exchanged anyway, but for the last word about who has left
        # it: an old table would bring the dead back (quickwit-oss/chitchat#94).
        sender = self._members.sender(origin.sender)
        last_words = [one for one in corrections if self._members.get(one.node_id) is None]
        if last_words and sender is not None and sender is not self._me:
            self._counters.add("claims_answered", len(last_words))
            self._outbox.send(sender, last_words)

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
            accused = claim.status is not Status.SUSPECT or self._members.accusations(subject)
            receivers += [subject] if accused else []
        self._outbox.broadcast(receivers, [claim])

    def _teller(self, origin: Origin) -> str:
        """The node id of who sent a claim about somebody else: a member."""
        sender = self._members.sender(origin.sender)
        return self._me.node_id if sender is None else sender.node_id

    def _doubt_former_tenants(self, tenant: Member, now: float) -> None:
        """Whoever was at the address where a node has just appeared is hardly there any more: it is
        asked to say so. Not each time that one of them refutes, or two members that tell of one
        address would accuse each other for ever."""
        for member in self._members.reachable():
            same = member.address == tenant.address and member is not tenant
            if same and member.status is Status.ALIVE:
                self.accuse(self._members.verdict(member, Status.SUSPECT), now)

    def _alive_about_me(self, claim: Alive, now: float) -> None:
        mine = (self._me.generation, self._me.incarnation)
        of_another = claim.tag != self._me.tag and claim.generation == self._me.generation
        if claim.generation > self._me.generation or of_another:
            self._contests.claimed(claim, now)
        elif (claim.generation, claim.incarnation) < mine:
            self._corrections[claim.node_id] = self._own.claim()
        elif claim.incarnation > self._me.incarnation and self._me.status is Status.ALIVE:
            # Our own, from before the incarnation was stored: go above it.
            self._own.exceed(claim.incarnation)

    def _verdict_about_me(self, claim: Verdict) -> None:
        mine = (self._me.generation, self._me.incarnation)
        if self._me.status is not Status.ALIVE:
            if (claim.generation, claim.incarnation) < mine:
                self._corrections[claim.node_id] = self._own.claim()
        elif claim.generation > self._me.generation:
            # Of an earlier life, and of one that is over: a suspect's record comes along, and says
            # where to ask.
            if claim.status >= Status.FAILED:
                self._own.outlive(claim.generation)
        elif (claim.generation, claim.incarnation) < mine:
            self._corrections[claim.node_id] = self._own.claim()
        elif claim.incarnation == limits.COUNTER_MAX and claim.status is Status.LEFT:
            accuser = "" if claim.accuser == self._me.node_id else claim.accuser
            self._own.end(ForcedOut(accuser, claim.generation))
        else:
            self._counters.add("refutations")
            self._health.add(1)
            self._own.exceed(claim.incarnation)
