"""Leaving: everyone is told ``leaving``, then ``left``, then ``left`` again.

Said three times and ridden on other packets besides, the loss of one packet isn't taken for a
failure. Whoever hears no more than ``leaving`` counts a silent node as left, not as failed.
"""

from gossip.events import LeaveFinished
from gossip.member import Status
from gossip.members import Members
from gossip.own_record import OwnRecord
from gossip.profiles import Profile


class Departure:
    """This node's leave, once it is begun."""

    def __init__(self, members: Members, own: OwnRecord, profile: Profile) -> None:
        self._members = members
        self._own = own
        self._profile = profile
        self._step_at: float | None = None

    def begin(self, now: float) -> None:
        """This node is leaving; LeaveFinished says when it has."""
        self._own.declare(Status.LEAVING, now)
        alone = not self._members.reachable()
        self._step_at = now if alone else now + self._profile.leave_delay

    def advance(self, now: float) -> None:
        if self._step_at is None or now < self._step_at:
            return
        if self._members.me.status is Status.LEAVING:
            self._own.declare(Status.LEFT, now)
            self._step_at = now + self._profile.leave_delay
            if self._members.reachable():
                return
        else:
            self._own.repeat()
        self._step_at = None
        self._own.end(LeaveFinished())

    def next_deadline(self) -> float | None:
        return self._step_at
