"""Which authority a node's replica is a copy of: two databases in one cluster refuse each other.

Nodes of one cluster name and key may still have been pointed at different databases, a SQLite file
each being the easiest way. Their revisions mean nothing to each other, so a node's record tells the
id of its authority, and records of another one are no members here. Each side finds out by itself:

    knows no authority      takes that of the first peer that tells one, provisionally
    hears of its own        whoever is listed under another one is taken off the listing
    hears another           the record is refused, and its node told of ours, so that it refuses us

A later record of the same node, under our authority, is admitted like any other.
"""

import math
from typing import NamedTuple

from gossip import limits
from gossip.counters import Counters
from gossip.events import AuthorityAdopted, ForeignAuthority
from gossip.identity import WireId, wire_id
from gossip.member import Member
from gossip.members import Members
from gossip.messages.membership import Alive
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord


class _Foreigner(NamedTuple):
    """The newest record that was refused of a node."""

    life: tuple[int, int]
    """Its generation and incarnation."""
    told_at: float


class Allegiance:
    """Decides whose records are of this cluster."""

    def __init__(
        self, members: Members, own: OwnRecord, outbox: Outbox, counters: Counters
    ) -> None:
        self._members = members
        self._me = members.me
        self._own = own
        self._outbox = outbox
        self._counters = counters
        self._foreigners: dict[WireId, _Foreigner] = {}
        self._told_at = -math.inf

    def follow(self, authority: str, now: float) -> None:
        """This node has read the id of its own authority."""
        if authority == self._me.metadata.authority:
            return
        self._foreigners.clear()
        self._own.follow(authority)
        for member in self._members.listed():
            if member is not self._me and member.metadata.authority not in ("", authority):
                self._refuse(member, now)

    def refuses(self, claim: Alive, origin: Origin, now: float) -> bool:
        """Whether a record is none of this cluster's."""
        wire = wire_id(claim.node_id)
        mine, theirs = self._me.metadata.authority, claim.metadata.authority
        if theirs and not mine and wire == origin.sender:
            self._own.follow(theirs)
            self._outbox.notify(AuthorityAdopted(theirs, claim.address))
        elif theirs and mine and theirs != mine:
            self._refuse(claim, now)
            return True
        known = self._foreigners.get(wire)
        if known is None:
            return False
        if (claim.generation, claim.incarnation) <= known.life:
            # From before, as somebody tells it who hasn't heard of the change.
            self._counters.add("claims_foreign")
            return True
        del self._foreigners[wire]
        return False

    def is_foreign(self, wire: WireId) -> bool:
        """Whether the last record of this node was refused."""
        return wire in self._foreigners

    def _refuse(self, record: Alive | Member, now: float) -> None:
        self._counters.add("claims_foreign")
        wire = wire_id(record.node_id)
        life = (record.generation, record.incarnation)
        known = self._foreigners.pop(wire, None)
        told_at = -math.inf if known is None else known.told_at
        if known is not None:
            life = max(life, known.life)
        if (
            now - told_at >= limits.FOREIGN_REPEAT_SECONDS
            and now - self._told_at >= limits.FOREIGN_INTERVAL
        ):
            self._told_at = told_at = now
            data = record.metadata
            self._outbox.notify(ForeignAuthority(data.name, record.address, data.authority))
        if len(self._foreigners) >= limits.FOREIGNERS_MAX:
            del self._foreigners[next(iter(self._foreigners))]
        self._foreigners[wire] = _Foreigner(life, told_at)
        held = self._members.get(record.node_id)
        if held is not None and (held.generation, held.incarnation) <= life:
            self._members.expel(held, now)
