"""The changesets that a replica keeps for its peers, and what it makes of one that is offered."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Literal

from store.changeset import Changeset
from store.limits import LOG_BYTES_MAX, LOG_CHANGESETS_MAX
from store.version import Head, Version

Verdict = Literal["applied", "preparing", "known", "early", "forked", "corrupt", "poison"]
"""``applied``: it was the next one and is now served. ``preparing``: it is the next one, and large:
offered again, it goes on; nothing of it shows before it is applied. ``known``: at or below the
head. ``early``: something before it is missing. ``forked``: it names another history than the one
held here. ``corrupt``: its digest doesn't fit its body. ``poison``: it is the next one and whole,
but can't be applied here."""


class Changelog:
    """Consecutive changesets, bounded by count and bytes; the oldest go first.

    ``base`` is the head that the first of them follows.
    """

    def __init__(
        self,
        base: Head,
        *,
        count_max: int = LOG_CHANGESETS_MAX,
        bytes_max: int = LOG_BYTES_MAX,
    ) -> None:
        self._base = base
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._by_revision: dict[int, Changeset] = {}  # in order: revisions have no gaps

    def __len__(self) -> int:
        return len(self._by_revision)

    def judge(self, offered: Changeset, head: Head) -> Verdict:
        """What to do with an offered changeset; ``applied`` means that it is the next one."""
        if offered.version <= head.version:
            return self._judge_old(offered, head)
        gap = offered.version.revision - head.version.revision
        if gap == 1:
            # A new tag comes with a new epoch only.
            retagged = offered.version[:2] != head.version[:2]
            fits = not retagged or offered.version.epoch > head.version.epoch
            return "applied" if fits and offered.predecessor == head.digest else "forked"
        # A higher epoch that begins at or below the head's revision left this history before it.
        return "early" if gap > 1 else "forked"

    def _judge_old(self, offered: Changeset, head: Head) -> Verdict:
        """Only a digest that is still held can tell; what was trimmed proves nothing."""
        revision = offered.version.revision
        held = self._by_revision.get(revision)
        if held is None:
            if offered.version == head.version and offered.digest != head.digest:
                return "forked"
            return "known"
        same = held.version == offered.version and held.digest == offered.digest
        return "known" if same else "forked"

    def append(self, changeset: Changeset) -> None:
        """Keep one that follows the last one, and let go of the oldest beyond the bounds."""
        self._by_revision[changeset.version.revision] = changeset
        self._bytes += len(changeset.body)
        while len(self._by_revision) > self._count_max or self._bytes > self._bytes_max:
            oldest = self._by_revision.pop(next(iter(self._by_revision)))
            self._bytes -= len(oldest.body)
            self._base = Head(oldest.version, oldest.digest)

    def digest(self, version: Version) -> bytes | None:
        """The chain digest at a version that is kept; None when it isn't."""
        if version == self._base.version:
            return self._base.digest
        held = self._by_revision.get(version.revision)
        return held.digest if held is not None and held.version == version else None

    def heads(self, count_max: int) -> Sequence[Head]:
        """The heads that are remembered, newest first; the base is the last of them."""
        newest_first = reversed(self._by_revision.values())
        heads = (Head(changeset.version, changeset.digest) for changeset in newest_first)
        return tuple(islice(chain(heads, (self._base,)), count_max))

    def above(self, revision: int) -> list[Changeset]:
        """Those of the kept ones above a revision, oldest first."""
        return [one for number, one in self._by_revision.items() if number > revision]

    def since(self, point: Head, max_bytes: int) -> Sequence[Changeset] | None:
        """What follows a point of this history: see ``Replica.changesets``."""
        if point != self._base:
            held = self._by_revision.get(point.version.revision)
            if held is None or (held.version, held.digest) != point:
                return None
        following: list[Changeset] = []
        size = 0
        revision = point.version.revision + 1
        while (changeset := self._by_revision.get(revision)) is not None:
            size += len(changeset.body)
            if following and size > max_bytes:
                break
            following.append(changeset)
            revision += 1
        return following
