"""Packets that reach this node and were meant for another.

An address changes hands: a container gets the one that another had before. Whoever still sends to
the former tenant hears from the present one, so that it learns who lives there now.
"""

from gossip import limits
from gossip.contest import Contests
from gossip.identity import WireId
from gossip.members import Members
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord


class Strays:
    """Answers such packets of members with this node's own record, each member once a while."""

    def __init__(
        self, members: Members, own: OwnRecord, contests: Contests, outbox: Outbox
    ) -> None:
        self._members = members
        self._own = own
        self._contests = contests
        self._outbox = outbox
        self._answered: dict[WireId, float] = {}
        """When each sender was answered last, oldest first."""

    def received(self, meant_for: bytes, origin: Origin, now: float) -> None:
        """A packet came whose receiver's wire id ends so, and isn't ours."""
        if origin.sender == self._members.me.wire:
            for member in self._members.listed():
                if member.wire.endswith(meant_for):
                    self._contests.led_back(member.address)
            return
        if self._members.sender(origin.sender) is None or not self._is_due(origin.sender, now):
            return
        self._outbox.answer(origin, [self._own.claim()])

    def _is_due(self, sender: WireId, now: float) -> bool:
        last = self._answered.pop(sender, None)
        due = last is None or now - last >= limits.STRAYS_SECONDS
        self._answered[sender] = now if due or last is None else last
        if len(self._answered) > limits.STRAYS_MAX:
            del self._answered[next(iter(self._answered))]
        return due
