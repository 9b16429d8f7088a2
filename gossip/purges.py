"""Purges: what caches are told to forget, beside the stream of revisions (DESIGN 4, point 7).

Theory of operation
-------------------

A purge is an idempotent rumor of a *source*: a process and the cache that it purges, which numbers
its purges from 1. Order doesn't matter, so each is done on arrival, once; all that has to be found
out is that one is missing, and the numbers tell. The origin sends a purge to all members at once
(``gossip.tree``). Whoever does one tells the source's highest number to a few others right
afterwards; push-pulls tell it for all sources. Who hears of a number that it hasn't asks whoever
showed it, then the origin, then anybody. What can't be had in ``PURGE_GAP_SECONDS`` is made up for
by purging that cache whole.

A process that has just started takes every source for as far as it is said to be, and purges once
whole: its caches hold next to nothing. A source of a life that is over is not followed any more;
what still comes of it is done, since that costs nothing but a look-up.

A purge carries the version that its origin served. It is done at once, and again when this replica
has come there: what was cached between may be from before the write that the purge is about.
(Workers follow on their own: ``Purged`` tells them the version, too.)
"""

import math
import random
from collections.abc import Callable, Sequence

from gossip import limits
from gossip.beside import digest_of
from gossip.counters import Counters
from gossip.events import Purged
from gossip.invalidation import Awaited, By, Invalidation
from gossip.member import Member
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.purges import Purge, PurgeMark, PurgesWanted, Source
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.purge_sources import Kept, Progress, Sources
from gossip.replica import Version
from gossip.roles import may_originate
from gossip.tree import Tree


class TooManyPurges(Exception):
    """This node has originated as many as it may; ``retry_after`` seconds later there is room."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many purges; there is room in {retry_after:.2f} s")
        self.retry_after = retry_after


class Purges:
    """This node's purges and those of all others. ``version()`` is what the replica serves."""

    def __init__(
        self,
        members: Members,
        tree: Tree,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        version: Callable[[], Version],
        now: float,
    ) -> None:
        self._members = members
        self._tree = tree
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._version = version
        self._new_until = now + limits.PURGE_NEWCOMER_SECONDS
        self._sources = Sources()
        self._kept = Kept()
        self._awaited = Awaited(limits.PURGES_AWAITED_MAX)
        self._budget = float(limits.PURGES_BURST)
        self._budget_at = now
        self._news: dict[Source, int] = {}
        """Of which a few others are to be told the highest number -> in how many rounds more."""
        self._tell_at: float | None = None
        self._tell_wait = 0.0

    def originate(self, what: Invalidation, now: float) -> Purge:
        """Purge here and everywhere.

        Raises TooManyPurges; ValueError for a text or a name that is too long, and on a data plane,
        which has no say in this.
        """
        self._check(what)
        self._spend(now)
        # With a later generation, where this process had to take one: else it wouldn't be followed.
        me = self._members.me
        source = Source(me.node_id, me.generation, me.tag, what.cache)
        progress = self._sources.get(source) or self._follow(source)
        purge = Purge(source, progress.highest + 1, what.by, what.text, self._version())
        progress.reach(purge.sequence, now)
        self._counters.add("purges")
        self._tree.spread([purge], now)
        self._do(purge, progress, now, rounds=limits.PURGE_OWN_ROUNDS)
        return purge

    def received(self, message: Purge, sender: Member, now: float) -> None:
        """A purge arrived, from its origin or passed on."""
        source = message.source
        if not self._may_originate(source):
            return
        progress = self._sources.get(source)
        if progress is None and self._sources.is_past(source):
            self._counters.add("purges_late")
            self._notify(message.invalidation, message.version)
            return
        if progress is None:
            progress = self._begin(source, message.sequence - 1, now)
        if progress.is_known(message.sequence):
            self._counters.add("purges_known")
            return
        self._reach(source, progress, message.sequence, sender, now)
        if message.sequence in progress.missing:
            self._counters.add("purges_received")
            self._do(message, progress, now, rounds=1)

    def shown(self, message: PurgeMark, sender: Member, now: float) -> None:
        """A member tells how far a source has come."""
        source = message.source
        if not self._may_originate(source):
            return
        progress = self._sources.get(source)
        if progress is None:
            if self._sources.is_past(source):
                return
            progress = self._begin(source, message.highest, now)
        if message.highest > progress.highest:
            self._reach(source, progress, message.highest, sender, now)

    def wanted(self, message: PurgesWanted, sender: Member) -> None:
        """A member asks for purges that it has missed: send those that are still kept."""
        held = [self._kept.get(message.source, sequence) for sequence in message.sequences]
        purges = [purge for purge in held if purge is not None]
        self._counters.add("purges_given", len(purges))
        self._outbox.send_all([sender], purges)

    def advance(self, now: float) -> None:
        """Tell what is new, ask for what is missing, and make up for what can't be had."""
        if self._tell_at is not None and self._tell_at <= now:
            self._tell(now)
        for source, progress in list(self._sources.gaps().items()):
            if now - progress.since >= limits.PURGE_GAP_SECONDS:
                self._skip(source, progress, progress.highest)
            elif progress.ask_at <= now:
                self._ask(source, progress, now)

    def next_deadline(self) -> float | None:
        deadline = math.inf if self._tell_at is None else self._tell_at
        for progress in self._sources.gaps().values():
            skip_at = progress.since + limits.PURGE_GAP_SECONDS
            deadline = min(deadline, progress.ask_at, skip_at)
        return None if deadline == math.inf else deadline

    def moved(self) -> None:
        """The replica may have come to a version at which something is due again."""
        if self._awaited:
            for what in self._awaited.reached(self._version()):
                self._counters.add("purges_again")
                self._outbox.notify(Purged(what, self._version()))

    def digest(self) -> bytes:
        """Stands for how far every source has come; empty while there is none."""
        marks = self._marks()
        return digest_of(marks) if marks else b""

    def messages(self, now: float) -> Sequence[Message]:
        """How far every source has come, for push-pulls."""
        return self._marks()

    def _marks(self) -> list[Message]:
        """Of the members' own processes: they agree on who those are."""
        return [
            PurgeMark(source, progress.highest)
            for source, progress in self._sources.newest()
            if (member := self._members.get(source.node_id)) and member.tag == source.tag
        ]

    def _check(self, what: Invalidation) -> None:
        if not may_originate(self._members, self._members.me.node_id):
            raise ValueError("a data plane can't purge the cluster's caches")
        for name, text, most in (
            ("cache", what.cache, limits.CACHE_NAME_BYTES_MAX),
            (what.by.name.lower(), what.text, limits.PURGE_TEXT_BYTES_MAX),
        ):
            size = len(text.encode())
            if size > most:
                raise ValueError(f"{name}: {size} bytes; {most} are allowed")

    def _spend(self, now: float) -> None:
        rate, most = limits.PURGES_PER_SECOND, limits.PURGES_BURST
        self._budget = min(most, self._budget + (now - self._budget_at) * rate)
        self._budget_at = now
        if self._budget < 1:
            self._counters.add("purges_too_many")
            raise TooManyPurges((1 - self._budget) / rate)
        self._budget -= 1

    def _may_originate(self, source: Source) -> bool:
        """Members may, but for data planes. Of this node's own purges nobody knows more than it
        does."""
        if source.node_id == self._members.me.node_id:
            return False
        is_member = self._members.get(source.node_id) is not None
        may = is_member and may_originate(self._members, source.node_id)
        self._counters.add("purges_refused", not may)
        return may

    def _begin(self, source: Source, seen: int, now: float) -> Progress:
        """Follow a source that comes up for the first time and has come so far already."""
        progress = self._follow(source)
        if seen and now < self._new_until:
            self._counters.add("purges_adopted")
            progress.give_up(seen)
            self._purge_whole(source.cache)
        return progress

    def _follow(self, source: Source) -> Progress:
        forgotten = self._sources.forget_oldest()
        if forgotten is not None and forgotten[1].missing:
            self._skip(*forgotten, 0)
        return self._sources.add(source)

    def _reach(
        self, source: Source, progress: Progress, highest: int, sender: Member, now: float
    ) -> None:
        """A member has shown a number of a source."""
        if highest > progress.highest:
            progress.shown_by = sender.node_id
        was_whole = not progress.missing
        if not progress.reach(highest, now):
            self._skip(source, progress, highest)
        elif was_whole:
            progress.ask_at, progress.asked = now + self._profile.repair_patience, 0
            self._sources.note_gap(source, progress)

    def _do(self, purge: Purge, progress: Progress, now: float, rounds: int) -> None:
        del progress.missing[purge.sequence]
        self._kept.add(purge)
        self._notify(purge.invalidation, purge.version)
        if self._members.reachable():
            self._news[purge.source] = max(rounds, self._news.get(purge.source, 0))
            self._tell_wait = limits.PURGE_NEWS_SECONDS
            due = now + self._tell_wait
            self._tell_at = due if self._tell_at is None else min(due, self._tell_at)

    def _notify(self, what: Invalidation, version: Version) -> None:
        self._outbox.notify(Purged(what, version))
        if version > self._version():
            self._awaited.add(version, what)

    def _purge_whole(self, cache: str) -> None:
        """In place of purges that aren't known, nor what had been written by then: it was served
        somewhere."""
        heard = [member.serving for member in self._members.reachable()]
        served = [version for version in heard if version is not None]
        version = max([self._version(), *served])
        self._notify(Invalidation(cache, By.ALL, ""), version)

    def _skip(self, source: Source, progress: Progress, highest: int) -> None:
        self._counters.add("purges_skipped", progress.give_up(highest))
        self._purge_whole(source.cache)

    def _ask(self, source: Source, progress: Progress, now: float) -> None:
        peer = self._peer(source, progress)
        progress.ask_at = now + self._profile.repair_timeout * 2**progress.asked
        progress.asked += 1
        if peer is not None:
            self._counters.add("purges_asked")
            sequences = list(progress.missing)[: limits.PURGES_WANTED_MAX]
            self._outbox.send(peer, [PurgesWanted(source, tuple(sequences))])

    def _peer(self, source: Source, progress: Progress) -> Member | None:
        """Whoever showed the gap, then the origin, then anybody."""
        reachable = self._members.reachable()
        first = (progress.shown_by, source.node_id)[progress.asked : progress.asked + 1]
        named = [member for member in reachable if member.node_id in first]
        if not reachable:
            return None
        return named[0] if named else self._rng.choice(reachable)

    def _tell(self, now: float) -> None:
        """Tell a few others how far the sources of the last purges have come."""
        reachable = self._members.reachable()
        peers = self._rng.sample(reachable, min(limits.PURGE_NEWS_PEERS, len(reachable)))
        marks: list[Message] = []
        for source in self._news:
            progress = self._sources.get(source)
            if progress is not None:
                marks.append(PurgeMark(source, progress.highest))
        self._outbox.send_all(peers, marks)
        self._news = {one: rounds - 1 for one, rounds in self._news.items() if rounds > 1}
        # Chance is against the few who are told at first: the next round is a while later.
        self._tell_wait *= limits.PURGE_NEWS_GROWTH
        self._tell_at = now + self._tell_wait if self._news else None
