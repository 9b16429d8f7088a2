"""This node's own record: nobody else changes it, and whoever outranks it is outranked.

What is said of this node by others is answered here: an accusation by a higher incarnation, an
earlier life by a higher generation. Both are stored, so that a restart doesn't fall behind them.
"""

import random
from collections.abc import Sequence

from gossip import limits
from gossip.address import Address
from gossip.effects import PersistGeneration, PersistIncarnation
from gossip.events import ForcedOut, IdentityTaken, LeaveFinished, MemberChanged
from gossip.member import Member, Status, view
from gossip.members import Members, alive_claim
from gossip.messages.membership import Alive, Verdict
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.updates import Updates
from gossip.wire import encode_part


class OwnRecord:
    """Raises, changes and announces it."""

    def __init__(
        self,
        members: Members,
        updates: Updates,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
    ) -> None:
        self._members = members
        self._me = members.me
        self._updates = updates
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self.ended = False
        """Whether this process takes part no more."""

    def claim(self) -> Alive | Verdict:
        """What this node says of itself now."""
        if self._me.status is Status.ALIVE:
            return alive_claim(self._me)
        return self._members.verdict(self._me)

    def introduce(self) -> None:
        """It rides on the first packets, so that strangers know this node."""
        self._updates.put(self._me.node_id, encode_part(alive_claim(self._me)))

    def exceed(self, incarnation: int) -> None:
        """Go above an incarnation that was heard, and say so."""
        if self._raise_incarnation(incarnation):
            self._announce()

    def outlive(self, generation: int) -> None:
        """Go above a generation that was heard, the trace of an earlier life, and say so."""
        if self._raise_generation(generation):
            self._announce()

    def move(self, address: Address) -> None:
        """Be at another address from now on."""
        self._me.address = address
        self.exceed(self._me.incarnation)

    def rename(self, name: str) -> None:
        """Go by another name from now on."""
        self._me.metadata = self._me.metadata._replace(name=name)
        self.exceed(self._me.incarnation)

    def follow(self, authority: str) -> None:
        """Be a copy of this authority from now on."""
        self._me.metadata = self._me.metadata._replace(authority=authority)
        self.exceed(self._me.incarnation)

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
        """Say again to everyone what this node said of itself last."""
        self._outbox.broadcast(self._members.reachable(), [self._members.verdict(self._me)])

    def end(self, why: LeaveFinished | IdentityTaken | ForcedOut) -> None:
        """This process has no part in the cluster any more."""
        if not self.ended:
            self.ended = True
            self._me.status = Status.LEFT
            self._outbox.notify(why)

    def _announce(self) -> None:
        claim = alive_claim(self._me)
        self._updates.put(self._me.node_id, encode_part(claim))
        receivers: Sequence[Member] = self._members.reachable()
        if len(receivers) > limits.DIRECT_MEMBERS_MAX:
            receivers = self._rng.sample(receivers, self._profile.eager_fanout)
        self._outbox.broadcast(receivers, [claim])

    def _raise_incarnation(self, heard: int) -> bool:
        incarnation = max(self._me.incarnation, heard) + 1
        if incarnation >= limits.COUNTER_MAX:
            # That one is for being forced out. Somebody forged what was heard.
            return self._raise_generation(self._me.generation)
        self._me.incarnation = incarnation
        self._outbox.add(PersistIncarnation(incarnation))
        return True

    def _raise_generation(self, heard: int) -> bool:
        generation = max(self._me.generation, heard) + 1
        if generation >= limits.COUNTER_MAX:
            # Nobody lives so often: forged. No number is left to this node id.
            self.end(IdentityTaken(self._me.address))
            return False
        self._me.generation, self._me.incarnation = generation, 1
        self._outbox.add(PersistGeneration(generation))
        return True
