"""The member table: who is in the cluster, as far as this node knows.

Theory of operation
-------------------

Claims about nodes reach this table in any order, many times, late, from anyone. What makes all
tables agree in the end is that a claim has a precedence and the greatest one holds:

    (generation, incarnation, status)      alive < suspect < failed < leaving < left

A *generation* is one process life of a node. A node that comes back after a crash has a higher one
and is believed at once, whatever was held about its earlier life and wherever it now is: its
address is an attribute, not its identity. An *incarnation* is raised by the node itself alone, to
refute: if the cluster says "suspect at incarnation 4" the node says "alive at 5", which is greater.
Within one incarnation an accusation outranks the word of the accused, or it could never be heard.

    held \\ claim    alive           suspect            failed          leaving     left
    (not listed)    admitted *      not admitted       not admitted    not adm.    not admitted
    alive           > : alive       >= : suspect       >= : failed     >= : lvg    >= : left
    suspect         > : alive       = : confirmation   >= : failed     >= : lvg    >= : left
                                    > : suspect anew
    failed          > : alive       > : suspect        > : failed      >= : lvg    >= : left
    leaving         > : alive       > : suspect        > : failed      > : lvg     >= : left
    left            > : alive       > : suspect        > : failed      > : lvg     > : left

    where > and >= compare (generation, incarnation) of the claim with what is held.
    * unless a tombstone at or above the claim's precedence says that this life is over.

Rules that follow, each the lesson of somebody's outage:

* The held precedence never falls, even where the status doesn't change: "failed at 10" over "failed
  at 1" is admitted, or a late "alive at 2" would raise the dead (hashicorp/memberlist#197).
* A lesser claim is *stale*: it changes nothing, and whoever made it is told what is held, or a node
  that restarted with a low incarnation would stay dead for ever (hashicorp/memberlist#311).
* An equal claim changes nothing and is not passed on: echoes end (hashicorp/serf#606).
* A verdict about a node that isn't listed is not admitted: there is no record to hang it on, and
  forged ones would fill the table.
* A verdict of a later generation than what is held isn't either: it says nothing of an address.
* Of two processes that claim one life of a node, equal in all else, the greater tag holds, so that
  the tables agree; the processes settle it between them (``contest``).
* Who is forced out is ``left`` at the highest incarnation there is: no word of that generation can
  outrank it, and only a later life brings the node back (``remove``).
* Only a member that listed for a while leaves the listing: failed ones after ``failed_ttl``, left
  ones after ``left_ttl``. A tombstone then keeps the precedence, far longer than any queue.
"""

import math
from typing import Literal, NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.identity import WireId, wire_id
from gossip.member import RUNNING, Member, Precedence, Status
from gossip.messages.membership import Alive, Verdict
from gossip.profiles import Profile
from gossip.suspicion import open_suspicion

Outcome = Literal["changed", "confirmed", "same", "stale", "unknown", "refused"]
"""``changed``: the claim now holds. ``confirmed``: a new accuser in a running suspicion. ``same``:
held already. ``stale``: less than what is held. ``unknown``: a verdict about no listed member.
``refused``: the table is full, or another member has the same wire id."""

SWEEP_INTERVAL = 1.0
"""How often the listing is searched for members whose time is over, seconds."""


class Admission(NamedTuple):
    """What became of a claim."""

    outcome: Outcome
    member: Member | None = None
    previous: Status | None = None
    """The member's status before; None when it wasn't listed."""


class Tombstone(NamedTuple):
    """The last word about a node that left the listing."""

    node_id: str
    precedence: Precedence
    buried_at: float


class Members:
    """The table. ``me`` is this node's own record: claims about it are settled by the core."""

    def __init__(self, me: Member, profile: Profile) -> None:
        self.me = me
        self.typical_rtt: float | None = None
        """Smoothed round trip over all members, seconds: the guess for one not yet measured."""
        self._profile = profile
        self._by_id: dict[str, Member] = {me.node_id: me}
        self._by_wire: dict[WireId, Member] = {me.wire: me}
        self._tombstones: dict[WireId, Tombstone] = {}
        self.former: dict[Address, float] = {}
        """Where members were that left the listing as failed, and since when they have been so. An
        address goes when somebody runs there again."""
        self.buried: list[Member] = []
        """Who has left the listing since this was last emptied."""
        self._suspects: dict[str, Member] = {}
        self._judgement: float | None = math.inf
        """When the first suspect's time is over, inf while there is none; None: to be found out."""
        self._sweep_at: float | None = None
        self._reachable: tuple[Member, ...] | None = None

    def __len__(self) -> int:
        """Listed members, this node included."""
        return len(self._by_id)

    def get(self, node_id: str) -> Member | None:
        return self._by_id.get(node_id)

    def sender(self, wire: WireId) -> Member | None:
        """Whoever is listed with this wire id."""
        return self._by_wire.get(wire)

    def listed(self) -> tuple[Member, ...]:
        """All members, this node included, in the order they were first heard of."""
        return tuple(self._by_id.values())

    def reachable(self) -> tuple[Member, ...]:
        """The other members that count as running: alive, suspect or leaving."""
        if self._reachable is None:
            me = self.me
            self._reachable = tuple(
                [m for m in self._by_id.values() if m.status in RUNNING and m is not me]
            )
        return self._reachable

    def running(self) -> int:
        """How many members count as running, this node included: n of the formulas."""
        return len(self.reachable()) + 1

    def admit_alive(self, claim: Alive, now: float) -> Admission:
        """Settle a claim that another node is alive."""
        held = self._by_id.get(claim.node_id)
        precedence = Precedence(claim.generation, claim.incarnation, Status.ALIVE)
        if held is None:
            tombstone = self._tombstones.get(wire_id(claim.node_id))
            if tombstone is not None and precedence <= tombstone.precedence:
                return Admission("stale")
            if wire_id(claim.node_id) in self._by_wire or not self._has_room(now):
                return Admission("refused")
            return self._list(claim, now)
        if (*precedence, claim.tag) <= (*held.precedence, held.tag):
            same = precedence == held.precedence and claim.tag == held.tag
            return Admission("same" if same else "stale", held)
        previous = held.status
        if held.generation != claim.generation or held.address != claim.address:
            # Another process or another path: what was observed of the old one doesn't count.
            held.rtt = held.serving = held.path = held.keyring = held.heard_at = None
            held.stream_only = 0
        held.generation, held.incarnation = claim.generation, claim.incarnation
        held.tag, held.address, held.metadata = claim.tag, claim.address, claim.metadata
        self._set_status(held, Status.ALIVE, now)
        return Admission("changed", held, previous)

    def admit_verdict(self, claim: Verdict, now: float) -> Admission:
        """Settle a claim that another node is suspect, failed, leaving or has left."""
        held = self._by_id.get(claim.node_id)
        precedence = Precedence(claim.generation, claim.incarnation, claim.status)
        if held is None:
            tombstone = self._tombstones.get(wire_id(claim.node_id))
            if tombstone is not None and tombstone.precedence.generation == claim.generation:
                self._entomb(claim.node_id, precedence, now)
            return Admission("unknown")
        if claim.generation > held.generation:
            if held.status in RUNNING or claim.status in RUNNING:
                return Admission("unknown", held)
            # Its record of that life never came here, and won't: nobody tells that of the dead.
            held.generation, held.incarnation = claim.generation, 0
        if precedence < held.precedence:
            return Admission("stale", held)
        if precedence == held.precedence:
            if held.suspicion is not None and held.suspicion.confirm(claim.accuser):
                self._judgement = None
                return Admission("confirmed", held, held.status)
            return Admission("same", held)
        previous = held.status
        held.incarnation = claim.incarnation
        self._set_status(held, claim.status, now)
        if claim.status is Status.SUSPECT:
            held.suspicion = open_suspicion(self._profile, self.running(), claim.accuser, now)
            self._suspects[held.node_id] = held
            self._judgement = None
        return Admission("changed", held, previous)

    def remove(self, claim: Verdict, now: float) -> Admission:
        """Settle that a node was forced out up to a generation, whatever is known of it here: of
        one that isn't listed the word is kept for when somebody tells of it."""
        held = self._by_id.get(claim.node_id)
        if held is None:
            precedence = Precedence(claim.generation, claim.incarnation, claim.status)
            self._entomb(claim.node_id, precedence, now)
            return Admission("same")
        if claim.generation > held.generation:
            held.generation, held.incarnation = claim.generation, 1
        return self.admit_verdict(claim, now)

    def expel(self, member: Member, now: float) -> None:
        """Take a member off the listing that was no part of this cluster, without a last word."""
        self._delist(member)
        self._suspects.pop(member.node_id, None)
        self.buried.append(member)
        self._sweep_at = now

    def held_claim(self, wire: WireId) -> Alive | Verdict | None:
        """What is held about a node, as a claim to tell others; None when nothing is."""
        held = self._by_wire.get(wire)
        if held is not None:
            return alive_claim(held) if held.status is Status.ALIVE else self.verdict(held)
        tombstone = self._tombstones.get(wire)
        if tombstone is None:
            return None
        return Verdict(tombstone.node_id, *tombstone.precedence, accuser=self.me.node_id)

    def verdict(self, member: Member, status: Status | None = None) -> Verdict:
        """This node's claim that a member has a status (the one held, unless another is given)."""
        return Verdict(
            member.node_id,
            member.generation,
            member.incarnation,
            member.status if status is None else status,
            accuser=self.me.node_id,
        )

    def accusations(self, member: Member) -> list[Verdict]:
        """What leads a packet to a member: the claim against it, if it is suspected."""
        claims = [self.verdict(member)] if member.status is Status.SUSPECT else []
        return claims[: self._profile.accusations_first]

    def condemned(self, now: float) -> list[Member]:
        """Suspects whose time to refute is over."""
        return [
            member
            for member in self._suspects.values()
            if member.suspicion is not None and member.suspicion.deadline <= now
        ]

    def grant_time(self, seconds: float) -> None:
        """Extend every suspicion: this process stood still and may not have read refutations."""
        for member in self._suspects.values():
            if member.suspicion is not None:
                member.suspicion.started += seconds
        self._judgement = None

    def sweep(self, now: float) -> list[Member]:
        """Take members whose time in the listing is over off it; answers those that should be
        declared left because they fell silent while leaving."""
        if self._sweep_at is None or now < self._sweep_at:
            return []
        silent: list[Member] = []
        for member in self.listed():
            age = now - member.status_since
            if member is self.me:
                continue
            if member.status is Status.LEAVING and age >= self._profile.leaving_timeout:
                silent.append(member)
            elif age >= self._ttl(member.status):
                self._bury(member, now)
        self._forget_tombstones(now)
        self._sweep_at = now + SWEEP_INTERVAL if self._has_work() else None
        return silent

    def next_judgement(self) -> float | None:
        """When ``condemned`` has somebody."""
        if self._judgement is None:
            # Asked for after every packet, and a large cluster in trouble has many suspects.
            suspicions = [member.suspicion for member in self._suspects.values()]
            deadlines = [one.deadline for one in suspicions if one is not None]
            self._judgement = min(deadlines, default=math.inf)
        return None if self._judgement == math.inf else self._judgement

    def next_sweep(self) -> float | None:
        """When ``sweep`` has work."""
        return self._sweep_at

    def _list(self, claim: Alive, now: float) -> Admission:
        member = Member(
            node_id=claim.node_id,
            generation=claim.generation,
            tag=claim.tag,
            incarnation=claim.incarnation,
            status=Status.ALIVE,
            address=claim.address,
            metadata=claim.metadata,
            status_since=now,
        )
        self._by_id[claim.node_id] = self._by_wire[member.wire] = member
        self._tombstones.pop(member.wire, None)
        self.former.pop(member.address, None)
        self._reachable = None
        return Admission("changed", member)

    def _set_status(self, member: Member, status: Status, now: float) -> None:
        if status is not member.status:
            member.status_since = now
        member.status = status
        member.suspicion = None
        if self._suspects.pop(member.node_id, None) is not None:
            self._judgement = None
        self._reachable = None
        if status in (Status.FAILED, Status.LEAVING, Status.LEFT) and self._sweep_at is None:
            self._sweep_at = now + SWEEP_INTERVAL

    def _ttl(self, status: Status) -> float:
        """How long a member stays listed in a status."""
        if status is Status.FAILED:
            return self._profile.failed_ttl
        return self._profile.left_ttl if status is Status.LEFT else math.inf

    def _delist(self, member: Member) -> None:
        del self._by_id[member.node_id], self._by_wire[member.wire]
        self._reachable = None

    def _bury(self, member: Member, now: float) -> None:
        self._delist(member)
        if member.status is Status.FAILED:
            self.former.pop(member.address, None)
            self.former[member.address] = member.status_since
            if len(self.former) > limits.FORMER_MAX:
                del self.former[next(iter(self.former))]
        self._entomb(member.node_id, member.precedence, now)
        self.buried.append(member)

    def _entomb(self, node_id: str, precedence: Precedence, now: float) -> None:
        """Keep the greater of this and what is kept already, as the newest."""
        wire = wire_id(node_id)
        kept = self._tombstones.pop(wire, None)
        if kept is not None and kept.precedence > precedence:
            precedence = kept.precedence
        while len(self._tombstones) >= limits.TOMBSTONES_MAX:
            del self._tombstones[next(iter(self._tombstones))]
        self._tombstones[wire] = Tombstone(node_id, precedence, now)
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_INTERVAL

    def _has_room(self, now: float) -> bool:
        """For one more. In a storm of restarts with new ids each (quickwit-oss/quickwit#5446) the
        oldest of the dead go before their time, or the living would be refused."""
        if len(self._by_id) < limits.MEMBERS_MAX:
            return True
        gone = [m for m in self._by_id.values() if m.status in (Status.FAILED, Status.LEFT)]
        if gone:
            self._bury(min(gone, key=lambda member: member.status_since), now)
        return bool(gone)

    def _forget_tombstones(self, now: float) -> None:
        # Insertion order is burial order: the oldest come first.
        while self._tombstones:
            oldest = next(iter(self._tombstones))
            if now - self._tombstones[oldest].buried_at < self._profile.tombstone_ttl:
                return
            del self._tombstones[oldest]

    def _has_work(self) -> bool:
        waiting = (Status.FAILED, Status.LEAVING, Status.LEFT)
        return bool(self._tombstones) or any(m.status in waiting for m in self._by_id.values())


def alive_claim(member: Member) -> Alive:
    """A member's record as the claim that it is alive."""
    return Alive(
        member.node_id,
        member.generation,
        member.tag,
        member.incarnation,
        member.address,
        member.metadata,
    )
