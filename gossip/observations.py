"""What members observe outside of the cluster, told to all the others: the health of what they send
requests to.

Such news is cheap to lose and worthless when it is old. So it isn't numbered, kept, passed on or
asked for: it goes to every member once (``gossip.tree``), and who wants it to last says it again.
It counts as its sender's own and as nobody else's, so data planes may tell it, too; what it is
worth is for the application to judge.
"""

from gossip import limits
from gossip.counters import Counters
from gossip.events import Observed
from gossip.member import Member
from gossip.messages.observations import Observation
from gossip.outbox import Outbox
from gossip.tree import Tree


class Observations:
    """A door in both directions, with bounds."""

    def __init__(self, tree: Tree, outbox: Outbox, counters: Counters, now: float) -> None:
        self._tree = tree
        self._outbox = outbox
        self._counters = counters
        self._told = Budget(limits.OBSERVATIONS_TOLD_PER_SECOND, now)
        self._heard = Budget(limits.OBSERVATIONS_HEARD_PER_SECOND, now)

    def tell(self, body: bytes, now: float) -> bool:
        """Tell every member; False, and nothing is done, when that was too often lately.

        Raises ValueError for what is empty or too long.
        """
        if not 1 <= len(body) <= limits.OBSERVATION_BYTES_MAX:
            most = limits.OBSERVATION_BYTES_MAX
            raise ValueError(f"an observation of {len(body)} bytes; 1 to {most} can be")
        if not self._told.take(now):
            self._counters.add("observations_held_back")
            return False
        self._counters.add("observations_told")
        self._tree.spread([Observation(body)], now)
        return True

    def received(self, message: Observation, sender: Member, now: float) -> None:
        """A member tells what it has found."""
        if not self._heard.take(now):
            self._counters.add("observations_too_many")
            return
        self._counters.add("observations_heard")
        self._outbox.notify(Observed(sender.node_id, message.body))


class Budget:
    """So many a second, and at once as many as in one."""

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there is room for one more, which then is taken."""
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
