"""Whether this node and a member hold the same at a version that both remember (DESIGN 5, level 0).

    a heartbeat's check differs --> an exact question to that member --> the answer differs
                                                        in the digest: another history
                                                        in the state hash: one of us is damaged

Heads ride on every probe and ack. Two replicas compare at one version only, the sender's: whoever
is ahead remembers what it held there. Four bytes say that something differs; what, they can't say,
and by chance or malice they may be wrong. So nothing is concluded before the member was asked.
"""

import random

from gossip import limits
from gossip.counters import Counters
from gossip.damage import Damage
from gossip.events import Behind
from gossip.member import Member
from gossip.members import Members
from gossip.messages.changes import Heartbeat, check_of
from gossip.messages.repair import Compare
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.replica import Head, Replica, Version


class Comparison:
    """This node's side of it."""

    def __init__(
        self,
        replica: Replica,
        members: Members,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._replica = replica
        self._outbox = outbox
        self._counters = counters
        self._asked: dict[str, tuple[float, Version]] = {}
        """By node id: when, and about which version; the least recent first."""
        self._checked: tuple[Version, bytes, bytes] | None = None
        """The check made last: version, state hash, check."""
        self._fork_told: tuple[Version, bytes] | None = None
        self.damage = Damage(replica, members, outbox, profile, rng, counters, self._ask)

    def check(self, version: Version) -> bytes | None:
        """What a heartbeat of ours says, or would have said, at this version; None when that isn't
        remembered."""
        digest, state_hash = self._replica.digest(version), self._replica.state_hash(version)
        if digest is None or state_hash is None:
            return None
        if self._checked is None or self._checked[:2] != (version, state_hash):
            self._checked = (version, state_hash, check_of(digest, state_hash))
        return self._checked[2]

    def heard(self, message: Heartbeat, sender: Member, now: float) -> None:
        """A member says what it holds, at a version that isn't above ours."""
        ours = self.check(message.version)
        if ours is None or ours == message.check:
            return
        self._counters.add("heads_differ")
        when, _ = self._asked.get(sender.node_id, (-limits.COMPARE_INTERVAL, None))
        if now - when >= limits.COMPARE_INTERVAL:
            self._ask(sender, message.version, now)

    def compared(self, message: Compare, sender: Member, now: float) -> None:
        """A member says exactly what it holds, as a question or as an answer."""
        version = message.head.version
        ours = self._ours(version, answer=True)
        if message.answer:
            if self._asked.get(sender.node_id, (now, None))[1] != version:
                self._counters.add("comparisons_unexpected")
                return
        elif ours is None:
            self._counters.add("comparisons_unknown")
        else:
            self._counters.add("comparisons_answered")
            self._outbox.send(sender, [ours])
        if ours is None:
            return
        if ours.head != message.head:
            self._differs_in_history(message.head)
            return
        alike = ours.state_hash == message.state_hash
        if message.answer:
            self.damage.voted(version, sender, now, alike=alike, confirmed=message.confirmed)
        if not alike:
            self._counters.add("states_differ")
            self.damage.found(version, sender, now)

    def _ask(self, member: Member, version: Version, now: float) -> None:
        question = self._ours(version, answer=False)
        if question is None:
            return
        self._counters.add("comparisons_asked")
        self._asked.pop(member.node_id, None)
        while len(self._asked) >= limits.MEMBERS_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[member.node_id] = (now, version)
        self._outbox.send(member, [question])

    def _ours(self, version: Version, *, answer: bool) -> Compare | None:
        digest, state_hash = self._replica.digest(version), self._replica.state_hash(version)
        if digest is None or state_hash is None:
            return None
        return Compare(Head(version, digest), state_hash, answer, self.damage.confirmed)

    def _differs_in_history(self, head: Head) -> None:
        self._counters.add("heads_forked")
        if self._fork_told != head:
            self._fork_told = head
            self._outbox.notify(Behind(head.version, "forked"))
