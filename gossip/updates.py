"""The piggyback queue: claims about members that ride on packets sent anyway (SWIM section 4.1).

Keyed by subject: a newer claim about a member replaces the older one, so the queue never holds more
entries than there are members (hashicorp/consul#9927 ran to 160,000). The least sent claims go
first; each is sent ``retransmit_mult * ceil(log10(n + 1))`` times and then forgotten: push-pull
repairs what that misses.
"""

import math
from dataclasses import dataclass

from sortedcontainers import SortedKeyList

from gossip import limits


@dataclass(slots=True, eq=False)
class _Update:
    subject: str
    encoded: bytes
    order: int
    sent: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Fewest sent first, then newest: old news has had its chance."""
        return self.sent, -self.order


class Updates:
    """Claims to spread, at most one for each member."""

    def __init__(self, retransmit_mult: int) -> None:
        self._retransmit_mult = retransmit_mult
        self._by_subject: dict[str, _Update] = {}
        self._ranked: SortedKeyList[_Update, tuple[int, int]] = SortedKeyList(
            key=lambda update: update.rank
        )
        self._order = 0

    def __len__(self) -> int:
        return len(self._by_subject)

    def put(self, subject: str, encoded: bytes) -> None:
        """Spread this claim, and no longer an older one about the same member."""
        self.discard(subject)
        if len(self._by_subject) >= limits.UPDATES_MAX:
            self.discard(self._ranked[-1].subject)
        self._order += 1
        update = _Update(subject, encoded, self._order)
        self._by_subject[subject] = update
        self._ranked.add(update)

    def discard(self, subject: str) -> None:
        """Don't spread anything about this member any more."""
        update = self._by_subject.pop(subject, None)
        if update is not None:
            self._ranked.remove(update)

    def take(self, room: int, members: int) -> list[bytes]:
        """The claims that ride on a packet with ``room`` bytes left, in a cluster of ``members``.

        Each counts as sent once more.
        """
        taken: list[_Update] = []
        for update in self._ranked:
            if len(update.encoded) <= room:
                taken.append(update)
                room -= len(update.encoded)
            if room < _SMALLEST:
                break
        limit = self._retransmit_mult * math.ceil(math.log10(members + 1))
        for update in taken:
            self._ranked.remove(update)
            update.sent += 1
            if update.sent < limit:
                self._ranked.add(update)
            else:
                del self._by_subject[update.subject]
        return [update.encoded for update in taken]


_SMALLEST = 42
"""No encoded claim is shorter: a verdict holds two node ids."""
