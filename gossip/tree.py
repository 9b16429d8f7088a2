"""Sending the same messages to all members at once, whoever begins: changesets, purges, questions.

In a cluster of up to ``limits.DIRECT_MEMBERS_MAX`` straight to everybody; in a larger one down a
tree of two levels, whose relays are told their children (GOSSIP 4.4).
"""

from collections.abc import Sequence

from gossip.member import Member
from gossip.members import Members
from gossip.messages import Message
from gossip.outbox import Outbox


class Tree:
    """Spreads what this node originates."""

    def __init__(self, members: Members, outbox: Outbox) -> None:
        self._members = members
        self._outbox = outbox

    def spread(self, messages: Sequence[Message], now: float) -> Sequence[Member]:
        """Send these to every running member, all in one packet; answers who they are.

        They must leave room in a packet for a list of children. Any of them may get lost on its
        way: whoever spreads something notices who misses it, and sends it again straight.
        """
        receivers = self._members.reachable()
        self._outbox.broadcast(receivers, messages)
        return receivers
