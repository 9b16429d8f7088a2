"""Contests: another process claims what is one node's own, its node id or its name.

Nobody votes, and nothing is shut down: Serf asks the cluster who owns a name, and a node that hears
no answer kills itself. Here whoever finds its own id or name claimed asks the claimed address
directly, and each side decides from what it sees alone. It asks by packet, and, unanswered, once
more by packet and by stream, since UDP may be blocked.

A node id (a copied prefix, a restored disk) is claimed by a higher generation than this process
has, or by an equal one with another tag:

    nobody answers       the trace of an earlier life: this process goes above its generation
    this process answers the address leads back here, so nobody else is there: likewise
    another one answers  the greater (generation, tag) keeps the node id, the other draws a new one

The question carries the asker's generation and tag, so the one that is asked learns of the contest,
asks back, and loses it if it must. A name is contested by running members alone; one that doesn't
answer yields it until it is asked again. If it answers, the lower node id keeps the name, the other
adds to its own.
"""

import random
from dataclasses import dataclass
from typing import Literal

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.events import IdentityTaken, LedBack, NameKept, Renamed
from gossip.identity import WireId, other_name
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages.membership import Alive, Identified, Identify
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord
from gossip.profiles import Profile
from gossip.streams import Streams

_SEQUENCES = 2**32
_ATTEMPTS = 2


@dataclass(slots=True, eq=False)
class _Contest:
    """A question that is under way. There is one at most for each node that is asked."""

    stake: Literal["claim", "hint", "name"]
    """What it is about: this node's id, claimed by a record; who is at an address that a question
    or a packet hints at; this node's name."""
    receiver: WireId
    address: Address
    claimed: tuple[int, int]
    """Generation and tag of who is said to be there."""
    sequence: int
    asks_again_at: float
    attempts: int = 1


class Contests:
    """Asks, answers, and does what follows."""

    def __init__(
        self,
        members: Members,
        own: OwnRecord,
        streams: Streams,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._members = members
        self._me = members.me
        self._own = own
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._name = members.me.metadata.name
        self._running: dict[WireId, _Contest] = {}
        self._silent: dict[WireId, float] = {}
        """Members of this node's name that didn't answer, and when they are asked again: they may
        have been cut off, and not for long enough to have failed."""
        self._told: dict[tuple[str, str], None] = {}
        self._sequence = rng.randrange(_SEQUENCES)

    def claimed(self, claim: Alive, now: float) -> None:
        """A record says that another process lives under this node's id."""
        self._counters.add("identity_conflicts")
        at = (claim.generation, claim.tag)
        self._begin("claim", self._me.wire, claim.address, at, now)

    def check_name(self, member: Member, now: float) -> None:
        """A member's record has changed: it may have this node's name now."""
        if member.metadata.name == self._me.metadata.name and member.status <= Status.SUSPECT:
            self._counters.add("identity_conflicts")
            at = (member.generation, member.tag)
            self._begin("name", member.wire, member.address, at, now)

    def asked(self, message: Identify, origin: Origin, now: float) -> None:
        """Who are you? From another process with this node's id: and who is it?"""
        mine = (self._me.generation, self._me.tag)
        self._outbox.answer(origin, [Identified(message.sequence, *mine)])
        theirs = (message.generation, message.tag)
        if origin.sender == self._me.wire and message.tag != self._me.tag and theirs > mine:
            self._counters.add("identity_conflicts")
            # A stream comes from a port where nobody listens; a packet from where its sender does,
            # whatever it believes to be its address.
            address = origin.source if origin.stream is None else message.address
            self._begin("hint", self._me.wire, address, theirs, now)

    def answered(self, message: Identified, origin: Origin) -> None:
        """The answer to a question of ours, hopefully."""
        contest = self._running.get(origin.sender)
        if contest is None or contest.sequence != message.sequence:
            self._counters.add("acks_unexpected")
            return
        del self._running[origin.sender]
        if contest.stake == "name":
            self._settle_name(contest)
        else:
            self._settle_identity(contest, (message.generation, message.tag))

    def advance(self, now: float) -> None:
        """Ask again who is silent, and take a longer silence for nobody's being there."""
        for contest in list(self._running.values()):
            if contest.asks_again_at > now:
                continue
            if contest.attempts < _ATTEMPTS:
                contest.attempts += 1
                self._ask(contest, now)
                continue
            del self._running[contest.receiver]
            if contest.stake == "claim":
                self._own.outlive(contest.claimed[0])
            elif contest.stake == "name":
                self._silent[contest.receiver] = now + limits.NAMESAKE_SECONDS
                if len(self._silent) > limits.CONTESTS_MAX:
                    del self._silent[next(iter(self._silent))]
        for receiver in [receiver for receiver, at in self._silent.items() if at <= now]:
            del self._silent[receiver]
            member = self._members.sender(receiver)
            if member is not None:
                self.check_name(member, now)

    def next_deadline(self) -> float | None:
        if not self._running and not self._silent:
            return None
        deadlines = [contest.asks_again_at for contest in self._running.values()]
        return min([*deadlines, *self._silent.values()], default=None)

    def stop(self) -> None:
        """This node leaves: its name and its id are no longer worth a question."""
        self._running.clear()
        self._silent.clear()

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long: answers may lie unread."""
        for contest in self._running.values():
            contest.asks_again_at += seconds

    def check_address(self, address: Address, now: float) -> None:
        """What was sent to this member's address seems to come back here."""
        if address != self._me.address and ("address", str(address)) not in self._told:
            self._begin("hint", self._me.wire, address, (0, 0), now)

    def _led_back(self, address: Address) -> None:
        if address != self._me.address and self._is_news(("address", str(address))):
            self._outbox.notify(LedBack(address))

    def _begin(
        self,
        stake: Literal["claim", "hint", "name"],
        receiver: WireId,
        address: Address,
        claimed: tuple[int, int],
        now: float,
    ) -> None:
        idle = self._me.status is not Status.ALIVE
        if idle or receiver in self._running or len(self._running) >= limits.CONTESTS_MAX:
            return
        self._sequence = (self._sequence + 1) % _SEQUENCES
        contest = _Contest(stake, receiver, address, claimed, self._sequence, now)
        self._running[receiver] = contest
        self._ask(contest, now)

    def _ask(self, contest: _Contest, now: float) -> None:
        contest.asks_again_at = now + self._profile.probe_timeout
        me = self._me
        question = Identify(contest.sequence, me.generation, me.tag, me.address)
        self._outbox.send_to(contest.address, contest.receiver, [question])
        if contest.attempts == _ATTEMPTS:
            frame = self._outbox.frame(contest.receiver, [question])
            self._streams.open("contest", contest.address, "", frame, now)

    def _settle_identity(self, contest: _Contest, theirs: tuple[int, int]) -> None:
        mine = (self._me.generation, self._me.tag)
        if theirs[1] == self._me.tag:
            self._led_back(contest.address)
        elif theirs > mine:
            self._own.end(IdentityTaken(contest.address))
            return
        if contest.stake == "claim" and theirs != contest.claimed:
            # Whoever that record is of doesn't live there any more.
            self._own.outlive(contest.claimed[0])

    def _settle_name(self, contest: _Contest) -> None:
        holder = self._members.sender(contest.receiver)
        name = self._me.metadata.name
        if holder is None or holder.metadata.name != name or holder.status > Status.SUSPECT:
            return
        if self._me.node_id < holder.node_id:
            if self._is_news((name, holder.node_id)):
                self._outbox.notify(NameKept(name, holder.address))
            return
        taken = [member.metadata.name for member in self._members.reachable()]
        self._own.rename(other_name(self._name, self._me.node_id, taken))
        self._outbox.notify(Renamed(self._me.metadata.name, name, holder.address))

    def _is_news(self, what: tuple[str, str]) -> bool:
        """Each thing is told once, of the last so many."""
        if what in self._told:
            return False
        if len(self._told) >= limits.CONTESTS_TOLD_MAX:
            del self._told[next(iter(self._told))]
        self._told[what] = None
        return True
