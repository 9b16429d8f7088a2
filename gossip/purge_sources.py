"""What is known of the purges of each source: how far it has come, and what is missing."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gossip import limits
from gossip.messages.purges import Purge, Source


@dataclass(slots=True, eq=False)
class Progress:
    """Of one source, here."""

    highest: int = 0
    """The highest number heard of."""
    missing: dict[int, float] = field(default_factory=dict)
    """Numbers up to ``highest`` whose purge hasn't come -> since when that is known, in rising
    order of both."""
    shown_by: str = ""
    """Node id of whoever showed the highest."""
    ask_at: float = 0.0
    """When to ask for what is missing; of no meaning while nothing is."""
    asked: int = 0
    """How often that was done in a row."""

    def is_known(self, sequence: int) -> bool:
        """Whether that purge was done here, or made up for."""
        return sequence <= self.highest and sequence not in self.missing

    def reach(self, highest: int, now: float) -> bool:
        """Whoever shows a number has shown that there are all below it. False when so many are
        missing that nothing is noted: then only ``give_up`` is left."""
        if highest - self.highest + len(self.missing) > limits.PURGES_MISSING_MAX:
            return False
        for sequence in range(self.highest + 1, highest + 1):
            self.missing[sequence] = now
        self.highest = max(self.highest, highest)
        return True

    def give_up(self, highest: int) -> int:
        """Count everything up to here as made up for; answers how many that are."""
        skipped = len(self.missing) + max(0, highest - self.highest)
        self.missing.clear()
        self.highest = max(self.highest, highest)
        return skipped

    @property
    def since(self) -> float:
        """Since when something is missing; to be asked only then."""
        return next(iter(self.missing.values()))


class Sources:
    """All sources heard of, bounded: those not heard of for longest go first. One that comes up
    again is like new; what is done twice for it does no harm."""

    def __init__(self) -> None:
        self._progress: OrderedDict[Source, Progress] = OrderedDict()
        self._newest: dict[tuple[str, str], Source] = {}
        """(node id, cache) -> the source of the latest life."""
        self._gaps: dict[Source, Progress] = {}
        """Those of which something is missing, and perhaps some of which nothing is any more."""

    def __len__(self) -> int:
        return len(self._progress)

    def get(self, source: Source) -> Progress | None:
        progress = self._progress.get(source)
        if progress is not None:
            self._progress.move_to_end(source)
        return progress

    def add(self, source: Source) -> Progress:
        """One that isn't known, or no longer."""
        progress = self._progress[source] = Progress()
        newest = self._newest.get((source.node_id, source.cache))
        if newest is None or newest.life < source.life:
            self._newest[source.node_id, source.cache] = source
        return progress

    def forget_oldest(self) -> tuple[Source, Progress] | None:
        """Make room for one more: who had to go for it, if somebody had."""
        if len(self._progress) < limits.PURGE_SOURCES_MAX:
            return None
        source, progress = self._progress.popitem(last=False)
        self._gaps.pop(source, None)
        if self._newest.get((source.node_id, source.cache)) == source:
            del self._newest[source.node_id, source.cache]
        return source, progress

    def is_past(self, source: Source) -> bool:
        """Whether a later life of that node is known."""
        newest = self._newest.get((source.node_id, source.cache))
        return newest is not None and newest.life > source.life

    def newest(self) -> Iterator[tuple[Source, Progress]]:
        """Of each node and cache the latest life, in an order that is the same everywhere."""
        for key in sorted(self._newest):
            source = self._newest[key]
            yield source, self._progress[source]

    def note_gap(self, source: Source, progress: Progress) -> None:
        """Something of it is missing."""
        self._gaps[source] = progress

    def gaps(self) -> Mapping[Source, Progress]:
        """Those of which something is missing."""
        if self._gaps:  # asked for after every packet
            self._gaps = {one: progress for one, progress in self._gaps.items() if progress.missing}
        return self._gaps


class Kept:
    """The latest purges, for members that missed one."""

    def __init__(self) -> None:
        self._purges: OrderedDict[tuple[Source, int], Purge] = OrderedDict()

    def add(self, purge: Purge) -> None:
        self._purges[purge.source, purge.sequence] = purge
        if len(self._purges) > limits.PURGES_KEPT_MAX:
            self._purges.popitem(last=False)

    def get(self, source: Source, sequence: int) -> Purge | None:
        return self._purges.get((source, sequence))
