"""Packets that reach this node and were meant for another.

An address changes hands: a container gets the one that another had before. Whoever still sends to
the former tenant hears from the present one, so that it learns who lives there now.
"""

from gossip import limits
from gossip.contest import Contests
from gossip.identity import WireId
from gossip.members import Members
from gossip.outbox import Outbox
from gossip.own_record import OwnRecord


class Strays:
    """Answers such packets of members with this node's own record, each member once a while; looks
    where its own come back from."""

    def __init__(
        self, members: Members, own: OwnRecord, contests: Contests, outbox: Outbox
    ) -> None:
        self._members = members
        self._own = own
        self._contests = contests
        self._outbox = outbox
        self._answered: dict[WireId, float] = {}
        """When each sender was answered last, oldest first."""

    def received(self, meant_for: bytes, sender: WireId, now: float) -> None:
        """A packet came whose receiver's wire id ends so, and isn't ours. It can't be opened, so
        its sender is what the header says: the answer goes to where that member is."""
        member = self._members.sender(sender)
        if member is None or not self._is_due(sender, now):
            return
        if member is not self._members.me:
            self._outbox.send(member, [self._own.claim()])
            return
        # What this node sent to another has come back, or somebody says so.
        for other in self._members.reachable():
            if other.wire.endswith(meant_for):
                self._contests.check_address(other.address, now)

    def _is_due(self, sender: WireId, now: float) -> bool:
        last = self._answered.pop(sender, None)
        due = last is None or now - last >= limits.STRAYS_SECONDS
        self._answered[sender] = now if due or last is None else last
        if len(self._answered) > limits.STRAYS_MAX:
            del self._answered[next(iter(self._answered))]
        return due
