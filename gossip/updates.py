"""The piggyback queue: claims about members that ride on packets sent anyway (SWIM section 4.1).

Keyed by subject: a newer claim about a member replaces the older one, so the queue never holds more
entries than there are members (hashicorp/consul#9927 ran to 160,000). The least sent claims go
first; each is sent ``retransmit_mult * ceil(log10(n + 1))`` times and then forgotten: push-pull
repairs what that misses.
"""

import math
from bisect import bisect_left, insort
from typing import NamedTuple

from gossip import limits


class _Update(NamedTuple):
    """Sorts by rank: fewest sent first, then newest, for old news has had its chance. No two are
    equal in both."""

    sent: int
    age: int
    """Falls with each claim that is put in."""
    subject: str
    encoded: bytes


class Updates:
    """Claims to spread, at most one for each member."""

    def __init__(self, retransmit_mult: int) -> None:
        self._retransmit_mult = retransmit_mult
        self._by_subject: dict[str, _Update] = {}
        self._ranked: list[_Update] = []
        self._age = 0

    def __len__(self) -> int:
        return len(self._by_subject)

    def put(self, subject: str, encoded: bytes) -> None:
        """Spread this claim, and no longer an older one about the same member."""
        self.discard(subject)
        if len(self._by_subject) >= limits.UPDATES_MAX:
            self.discard(self._ranked[-1].subject)
        self._age -= 1
        self._add(_Update(0, self._age, subject, encoded))

    def discard(self, subject: str) -> None:
        """Don't spread anything about this member any more."""
        update = self._by_subject.pop(subject, None)
        if update is not None:
            del self._ranked[bisect_left(self._ranked, update)]

    def take(self, room: int, members: int) -> list[bytes]:
        """The claims that ride on a packet with ``room`` bytes left, in a cluster of ``members``.

        Each counts as sent once more.
        """
        if not self._ranked:
            return []
        taken: list[_Update] = []
        for update in self._ranked:
            if len(update.encoded) <= room:
                taken.append(update)
                room -= len(update.encoded)
            if room < _SMALLEST:
                break
        limit = self._retransmit_mult * math.ceil(math.log10(members + 1))
        for update in taken:
            self.discard(update.subject)
            if update.sent + 1 < limit:
                self._add(update._replace(sent=update.sent + 1))
        return [update.encoded for update in taken]

    def _add(self, update: _Update) -> None:
        self._by_subject[update.subject] = update
        insort(self._ranked, update)


_SMALLEST = 42
"""No encoded claim is shorter: a verdict holds two node ids."""
