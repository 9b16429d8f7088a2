"""How a keyring reaches everyone (``gossip.keyring`` says which of two holds).

Who has changed it sends it to all members at once. What was lost on the way is found by heartbeats,
which carry its counter: who hears of an older one sends its own, who hears of a newer one asks for
it, each at most once a second per member.

It goes under the key that the other side sends under, so that whoever missed a step can read it,
and only ever under a key that is in it: nothing new is told under what was thrown out.
"""

from gossip import limits
from gossip.counters import Counters
from gossip.events import KeyringChanged
from gossip.keyring import Keyring, wire_key_id
from gossip.member import Member
from gossip.members import Members
from gossip.messages.changes import Heartbeat
from gossip.messages.keys import Keys, KeysWanted
from gossip.outbox import Outbox
from gossip.sessions import Sessions


class Rotation:
    """This node's keyring, and its part in spreading it. ``sessions`` is None in clear."""

    def __init__(
        self, sessions: Sessions | None, members: Members, outbox: Outbox, counters: Counters
    ) -> None:
        self._sessions = sessions
        self._members = members
        self._outbox = outbox
        self._counters = counters
        self._told: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        """Node id -> when; least recent first."""
        self.mark = (0, 0) if sessions is None else sessions.keyring.mark

    def offer(self, keyring: Keyring, now: float) -> bool:
        """The application holds a keyring: adopt it if it is newer, and tell everyone."""
        sessions = self._sessions
        if sessions is None or not keyring.newer_than(sessions.keyring):
            return False
        before = wire_key_id(sessions.keyring.keys[0])
        self._adopt(sessions, keyring)
        for member in self._members.reachable():
            _take(self._told, member.node_id, now)
            self._tell(member, before)
        return True

    def heard(self, message: Heartbeat, sender: Member, now: float) -> None:
        """A member tells which keyring it holds."""
        sender.keyring = message.keyring
        sessions = self._sessions
        theirs = (message.keyring, message.keyring_check)
        if sessions is None or theirs == self.mark:
            return
        if message.keyring <= self.mark[0] and _take(self._told, sender.node_id, now):
            self._tell(sender, sessions.last_key_id)
        elif message.keyring > self.mark[0] and _take(self._asked, sender.node_id, now):
            self._counters.add("keyrings_asked")
            self._outbox.send(sender, [KeysWanted()])

    def told(self, message: Keys, sender: Member, now: float) -> bool:
        """A member sent its keyring. Whether it was adopted: then it should hear so at once, as
        somebody waits for that before the next step of a rotation."""
        sessions = self._sessions
        if sessions is None:
            self._counters.add("keyrings_refused")
        elif message.keyring.newer_than(sessions.keyring):
            self._counters.add("keyrings_adopted")
            self._adopt(sessions, message.keyring)
            self._outbox.notify(KeyringChanged(message.keyring))
            return True
        elif sessions.keyring.newer_than(message.keyring) and _take(
            self._told, sender.node_id, now
        ):
            self._tell(sender, sessions.last_key_id)
        return False

    def wanted(self, sender: Member, now: float) -> None:
        """A member asks for our keyring."""
        sessions = self._sessions
        if sessions is None:
            self._counters.add("keyrings_refused")
        elif _take(self._told, sender.node_id, now):
            self._tell(sender, sessions.last_key_id)

    def _adopt(self, sessions: Sessions, keyring: Keyring) -> None:
        sessions.adopt(keyring)
        self.mark = keyring.mark
        # What is held now hasn't been told to anyone.
        self._told.clear()

    def _tell(self, member: Member, key_id: bytes) -> None:
        assert self._sessions is not None
        self._counters.add("keyrings_told")
        self._outbox.send_keyring(member, Keys(self._sessions.keyring), key_id)


def _take(times: dict[str, float], node_id: str, now: float) -> bool:
    """Whether it is time for this member again; counts as done."""
    last = times.pop(node_id, None)
    if last is not None and now - last < limits.KEYRING_INTERVAL:
        times[node_id] = last
        return False
    while len(times) >= limits.MEMBERS_MAX:
        del times[next(iter(times))]
    times[node_id] = now
    return True
