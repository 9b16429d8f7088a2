"""When to ask whom for changesets that are missing here. Decides only; ``dissemination`` acts.

    idle --(a higher head is seen)--> patient --(patience over)--> asked --(progress)--> patient
                                                  asked --(no answer in time)--> asked, another
    patient --(nobody to ask)--> starving --(a peer shows it)--> patient
    asked --(by stream, and that takes its time)--> asked another by packet, too
    asked --(no progress, or no peer left)--> resting --(rest over)--> patient, all peers anew

Patience: what is missing is mostly on its way (a push overtaken by a later one, or by a peer that
got it sooner and told of it). When peers can't help, the application is told once per rest, and
asks the authority.
"""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

from gossip import limits
from gossip.member import Member
from gossip.profiles import Profile
from gossip.replica import Head, Version

Reason = Literal["log", "silent", "forked", "distant", "poison"]

_STREAM_AFTER_ATTEMPTS = 2
"""After so many packets without progress the next request goes by stream: UDP may be lost."""


_DOUBLINGS_MAX = 6
_BLOCKED_MAX = limits.POISON_REST_SECONDS_MAX / 2  # with the jitter

_HEDGE_SECONDS = 0.5
"""A pull that takes longer may wait for a peer that is gone, or for a lost segment: another peer is
asked by packet meanwhile. Where the pull brings something large, that costs a packet each way."""

_ROUND_TRIPS = 4
_ANSWER_SECONDS_MIN = 0.003
"""An answer by packet is waited for no shorter than so."""


class Ask(NamedTuple):
    """Ask this peer."""

    peer: str
    by_stream: bool


class GiveUp(NamedTuple):
    """Peers can't help, for now."""

    version: Version
    reason: Reason


class Repair:
    """The effort to reach the newest head heard of."""

    def __init__(self, profile: Profile, rng: random.Random) -> None:
        self._profile = profile
        self._rng = rng
        self._wanted: Version | None = None
        self._preferred = ""
        self._by_stream = False
        """The next request goes by stream."""
        self._pulling = False
        """A stream is open on which a peer was asked."""
        self._attempts = 0
        self._since = 0.0
        """When the effort began, or last got us further."""
        self._refusals: dict[str, Reason] = {}
        self._resting = False
        self._starving = False
        self._blocks = 0
        """How often in a row peers were given up because a changeset can't be applied here."""
        self.deadline: float | None = None
        """When ``decide`` has something to decide."""

    def behind(self, version: Version, peer: str, now: float) -> None:
        """A peer showed a version above ours."""
        if self._wanted is None or version > self._wanted:
            self._wanted = version
        if self.deadline is None:
            self._since = now
        if self.deadline is None or self._starving:
            self._preferred = peer
            self._starving = False
            self.deadline = now + self._profile.repair_patience

    def told(self, version: Version, peer: str, now: float) -> None:
        """A peer announces that this has come to it. One may be quicker than a push on its way
        here; when a second says so, the push is lost: no more patience."""
        patient = self.deadline is not None and self._attempts == 0 and not self._resting
        if patient and self._preferred not in ("", peer) and not self._starving:
            self._wanted = version if self._wanted is None else max(self._wanted, version)
            self.deadline = now
        else:
            self.behind(version, peer, now)

    def announced(self, version: Version, peer: str, now: float) -> None:
        """A peer says that what it has doesn't fit packets: ask it by stream, without patience."""
        self.behind(version, peer, now)
        if self._resting or self._pulling:
            return
        self._preferred, self._by_stream = peer, True
        if self._attempts == 0:
            self.deadline = now

    @property
    def wanted(self) -> Version | None:
        """The newest version heard of that isn't here yet."""
        return self._wanted

    def progressed(self, mine: Head, now: float) -> None:
        """Our head has moved."""
        if self._wanted is None:
            return
        if mine.version >= self._wanted:
            self._reset()
            return
        self._attempts = self._blocks = 0
        self._since = now
        self._resting = self._starving = False
        patience = self._profile.repair_patience
        self.deadline = now + (self._hedge() if self._pulling else patience)

    def refused(self, peer: str, reason: Reason, now: float) -> None:
        """This peer can't help on the way from our head, or isn't to be believed."""
        if self.deadline is not None and not self._resting:
            self._refusals.setdefault(peer, reason)
            self.deadline = now

    def stream_ended(self, now: float) -> None:
        """The stream by which a peer was asked is closed; go on if there is more to ask for: at
        once after progress, else later and later."""
        self._pulling = False
        if self.deadline is not None and not self._resting:
            pause = self._timeout() if self._attempts else 0.0
            self.deadline = min(self.deadline, now + pause)

    def decide(
        self, mine: Head, peers: Sequence[Member], now: float, typical_rtt: float | None = None
    ) -> Ask | GiveUp | None:
        """What to do now that ``deadline`` has passed; ``peers`` are the running members,
        ``typical_rtt`` the round trip to one that wasn't measured, in seconds."""
        if self.deadline is None or self.deadline > now:
            return None
        if self._wanted is None or mine.version >= self._wanted:
            self._reset()
            return None
        if self._resting:
            self._reset(keep=self._wanted)
            self._since = now
            if not self._able(mine, peers):
                # Whoever showed that head is gone, or it was forged.
                self._reset()
                return None
        peer = self._choose(mine, peers)
        patience = self._profile.stream_timeout if self._pulling else self._profile.repair_give_up
        too_long = now - self._since >= patience
        none_left = peer is None and bool(self._refusals)
        if too_long or self._refused_enough() or none_left:
            return self._give_up(self._wanted, now)
        if self._pulling:
            self._attempts += 1
            self.deadline = now + self._hedge()
            return None if peer is None else Ask(peer.node_id, by_stream=False)
        timeout = self._timeout(peer, typical_rtt)
        self._attempts += 1
        self.deadline = now + timeout
        if peer is None:
            self._starving = True
            return None
        self._pulling = self._by_stream or self._attempts > _STREAM_AFTER_ATTEMPTS
        if self._pulling:
            self.deadline = now + self._hedge()
        self._preferred, self._by_stream = "", False
        return Ask(peer.node_id, self._pulling)

    def _choose(self, mine: Head, peers: Sequence[Member]) -> Member | None:
        """First who showed the head, even if its own is no higher: it may have what we lack."""
        if self._preferred and self._preferred not in self._refusals:
            for member in peers:
                if member.node_id == self._preferred:
                    return member
        able = self._able(mine, peers)
        return self._rng.choice(able) if able else None

    def _able(self, mine: Head, peers: Sequence[Member]) -> list[Member]:
        return [
            member
            for member in peers
            if member.node_id not in self._refusals
            and member.serving is not None
            and member.serving > mine.version
        ]

    def _refused_enough(self) -> bool:
        """Logs are of much the same length everywhere: a few that don't reach speak for all, or a
        new node would ask a thousand members in turn. One that would have to send too much speaks
        for all, too. And one may have made up a changeset that can't be applied here; two wouldn't
        make up the same."""
        reasons = [*self._refusals.values()]
        return (
            reasons.count("log") >= limits.LOG_REFUSALS_MAX
            or reasons.count("poison") >= limits.POISON_REFUSALS_MAX
            or "distant" in reasons
        )

    def _hedge(self) -> float:
        return max(_HEDGE_SECONDS, self._profile.repair_timeout)

    def _timeout(self, peer: Member | None = None, typical_rtt: float | None = None) -> float:
        once = self._profile.repair_timeout
        rtt = typical_rtt if peer is None or peer.rtt is None else peer.rtt
        if rtt is not None:
            once = min(once, max(_ROUND_TRIPS * rtt, _ANSWER_SECONDS_MIN))
        doublings = min(self._attempts, _DOUBLINGS_MAX)
        return min(once * 2.0**doublings, self._profile.repair_give_up)

    def _give_up(self, wanted: Version, now: float) -> GiveUp:
        reason = self._reason()
        # What can't be applied here won't be in a second, either.
        self._blocks = self._blocks + 1 if reason == "poison" else 0
        rest = min(self._profile.repair_rest * 2.0**self._blocks, _BLOCKED_MAX)
        self._resting = True
        self._by_stream = self._pulling = self._starving = False
        self.deadline = now + rest * (1 + self._rng.random())
        return GiveUp(wanted, reason)

    def _reason(self) -> Reason:
        reasons = self._refusals.values()
        if "forked" in reasons:
            return "forked"
        if "poison" in reasons:
            return "poison"
        if "distant" in reasons:
            return "distant"
        return "log" if "log" in reasons else "silent"

    def _reset(self, keep: Version | None = None) -> None:
        self._wanted = keep
        self.deadline = None
        self._attempts = 0
        self._preferred = ""
        self._by_stream = self._pulling = False
        self._resting = self._starving = False
        self._refusals.clear()
