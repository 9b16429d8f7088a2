"""Repairing a replica towards one pinned version of a peer's, in bytes that grow with what differs.

    count -> index ours -> sketch --(decoded)--------------> entities -> checked -> ready
                           sketch --(too much differs)--> ranges --^
                                                          ranges --(more than a part)--> large

The sketch (``store.sketch``) shows the items that only one side holds. Where more differs than it
can show, the peer tells fingerprints of ranges of its sorted entities, and the items of those that
differ. The entities behind the peer's items are fetched. What the whole state will sum up to is
known before anything is changed: unless that gives the peer's state hash, nothing is.

One way only: what the peer doesn't hold at its version is deleted here. Nothing is merged, and
nothing goes to a lower version (DESIGN 5).
"""

from collections.abc import Generator, Iterator
from typing import Literal

from store.changeset import Change
from store.contents import Contents, PinnedState, Prepared
from store.installation import Holder, Loading, Outcome
from store.limits import (
    CHANGES_AT_ONCE_MAX,
    DIFFERENCE_SHARE_MAX,
    DIFFERENCE_SMALL,
    ITEMS_ASKED_MAX,
    RANGES_LISTED_MAX,
    RANGES_MAX,
    SKETCH_BATCH_MAX,
    SKETCH_GROWTH,
    SKETCH_STEP_ENTITIES,
    SKETCH_SYMBOLS_MAX,
)
from store.reconcile_index import Index, Key
from store.reconcile_words import (
    Count,
    Entities,
    Items,
    Ranges,
    Symbols,
    encode_question,
    read_count,
    read_entities,
    read_items,
    read_ranges,
    read_symbols,
)
from store.sketch import item_of
from store.sketch_decoder import Decoder
from store.state_hash import StateSum, element, identify
from store.version import Head

Step = Literal["working", "ready", "large", "refused"]
"""``working``: go on soon. ``ready``: ``finish`` it. ``large``: so much differs that everything is
better taken. ``refused``: the peer's answers lead nowhere."""

_Steps = Generator[bytes | None, bytes, Step]
"""Yields a question, and is sent its answer; or None after a piece of work."""


class Reconciliation:
    """Satisfies ``gossip.replica.Reconciliation``."""

    def __init__(
        self, holder: Holder, base: PinnedState, key: bytes, head: Head, state_hash: bytes,
        *, renew: bool, symbols_max: int = SKETCH_SYMBOLS_MAX,
    ) -> None:  # fmt: skip
        assert symbols_max <= SKETCH_SYMBOLS_MAX
        self._holder = holder
        self._base = base
        """What is held here; its entities are what is compared."""
        self._key = key
        self._head = head
        self._state_hash = state_hash
        self._renew = renew
        self._symbols_max = symbols_max
        self._theirs: dict[Key, bytes] = {}
        """Entities to take over."""
        self._ours: list[Key] = []
        """Entities that the peer doesn't hold so."""
        self._changes: list[Prepared] = []
        self._shadow: Loading | None = None
        self._steps = self._run()
        self._begun = False
        self.applied: tuple[Change, ...] | None = None
        """After ``finish``: what was changed in place; None when the whole was replaced."""

    def proceed(self, answer: bytes = b"") -> bytes | Step:
        """Go on: with the answer to the question that was given last, or with some work.

        Gives the next question, or how it stands.
        """
        try:
            asked = self._steps.send(answer) if self._begun else next(self._steps)
            self._begun = True
        except StopIteration as end:
            step: Step = end.value
            return step
        except ValueError:
            return "refused"
        return "working" if asked is None else asked

    def finish(self) -> Outcome:
        """It is ready: hold the peer's state, whole.

        ``stale``: what is held has changed meanwhile, so that this is no way on any more.
        """
        if self._shadow is not None:
            return self._shadow.finish_above(renew=self._renew)
        live = self._holder.head()
        if live != self._base.head or self._head.version <= live[0]:
            return "stale"
        self._holder.mend(self._head, self._changes)
        self.applied = tuple(
            Change(one.kind, one.id, None if one.row is None else one.row.text.decode())
            for one in self._changes
        )
        return "installed"

    def abandon(self) -> None:
        """Nothing comes of it."""
        self._steps.close()
        if self._shadow is not None:
            self._shadow.abandon()
            self._shadow = None

    def _run(self) -> _Steps:
        count = read_count((yield encode_question(Count())))
        if _is_large(abs(count - len(self._base)), count):
            return "large"
        index = Index(self._base, self._key, summed=True)
        for _ in index.build():
            yield None
        # An honest peer may find us damaged in a way that our own sum doesn't show.
        self._renew |= index.sum.digest() != self._base.state_hash
        differing = None
        if not self._is_far():
            differing = yield from self._by_sketch(index)
        if differing is None:
            differing = yield from self._by_ranges(index, count)
        if differing is None:
            return "large"
        theirs, ours = differing
        yield from self._fetch(theirs)
        yield from self._find_ours(index, ours)
        if not self._leads_there(index.sum):
            return "refused"
        yield from self._prepare()
        return "ready"

    def _is_far(self) -> bool:
        """Whether so many revisions lie between that a sketch would hardly show what they did."""
        theirs, ours = self._head.version, self._base.head.version
        gap = theirs.revision - ours.revision
        return theirs[:2] == ours[:2] and gap > self._symbols_max // 2

    # What differs

    def _by_sketch(self, index: Index) -> Generator[bytes | None, bytes, "_Differing | None"]:
        """None when it is more than a sketch can show."""
        decoder = Decoder()
        progress = "more"
        while progress != "done":
            if progress == "hopeless" or len(decoder) >= self._symbols_max:
                return None
            begin = len(decoder)
            batch = min(max(1, begin // SKETCH_GROWTH), SKETCH_BATCH_MAX)
            asked = Symbols(begin, min(begin + batch, self._symbols_max))
            symbols = read_symbols((yield encode_question(asked)), asked)
            decoder.feed(symbols, index.sketch.encode(*asked))
            while (progress := decoder.peel(SKETCH_STEP_ENTITIES)) == "peeling":
                yield None
        return decoder.theirs, decoder.ours

    def _by_ranges(
        self, index: Index, count: int
    ) -> Generator[bytes | None, bytes, "_Differing | None"]:
        """None when it is more than the part of the whole from which on that is taken instead."""
        differing = yield from self._differing_ranges(index)
        theirs: list[bytes] = []
        ours: list[bytes] = []
        for at in range(0, len(differing), RANGES_LISTED_MAX):
            some = differing[at : at + RANGES_LISTED_MAX]
            asked = Items(tuple(number for number, _, _ in some))
            runs = read_items((yield encode_question(asked)), asked)
            for run, (_, begin, end) in zip(runs, some, strict=True):
                listed = dict.fromkeys(run)
                held = dict.fromkeys(index.item(place) for place in range(begin, end))
                theirs += [item for item in listed if item not in held]
                ours += [item for item in held if item not in listed]
            if _is_large(max(len(theirs), len(ours)), count):
                return None
            yield None
        return theirs, ours

    def _differing_ranges(
        self, index: Index
    ) -> Generator[bytes | None, bytes, list[tuple[int, int, int]]]:
        """(number at the peer, our places from, to) of each."""
        differing: list[tuple[int, int, int]] = []
        number = begin = 0
        last, previous = False, ("", "")
        while not last:
            last, ranges = read_ranges((yield encode_question(Ranges(number))))
            if number + len(ranges) > RANGES_MAX:
                raise ValueError("too many ranges")
            for end_key, fingerprint in ranges:
                if end_key is not None and end_key <= previous:
                    raise ValueError("ranges out of order")
                end = len(index) if end_key is None else index.place_after(end_key)
                if index.fingerprint(begin, end) != fingerprint:
                    differing.append((number, begin, end))
                number, begin, previous = number + 1, end, end_key or previous
                if number % 64 == 0:
                    yield None
        return differing

    # What is done about it

    def _fetch(self, items: list[bytes]) -> Generator[bytes | None, bytes, None]:
        """The entities behind the peer's items. Raises ValueError for what doesn't fit them."""
        wanted = dict.fromkeys(items)
        while wanted:
            asked = tuple(wanted)[:ITEMS_ASKED_MAX]
            for row in read_entities((yield encode_question(Entities(asked)))):
                item = item_of(self._key, identify(*row))
                if item not in wanted:
                    raise ValueError(f"{row[0]} {row[1]} was not asked for")
                del wanted[item]
                if self._theirs.setdefault(row[:2], row[2]) is not row[2]:
                    raise ValueError(f"{row[0]} {row[1]} came twice")

    def _find_ours(self, index: Index, items: list[bytes]) -> Iterator[None]:
        """Which of our entities go, or are replaced."""
        found = 0
        for row in index.find(items):
            if row is None:
                yield
                continue
            found += 1
            self._ours.append(row[:2])
            index.sum.subtract(element(identify(*row)))
        if found != len(items):
            raise ValueError("a sketch shows items that nobody holds")

    def _leads_there(self, total: StateSum) -> bool:
        """Whether what stays here and what was fetched give the peer's state hash together."""
        for (kind, entity_id), text in self._theirs.items():
            total.add(element(identify(kind, entity_id, text)))
        return total.digest() == self._state_hash

    def _prepare(self) -> Iterator[None]:
        """Read what is to be put in; where that is much, or what lies here isn't to be built upon,
        beside what is served."""
        changes: dict[Key, str | None] = dict.fromkeys(self._ours)
        changes |= {key: text.decode() for key, text in self._theirs.items()}
        if not self._renew and len(changes) <= CHANGES_AT_ONCE_MAX:
            reader = Contents()
            self._changes = [reader.prepare(Change(*key, text)) for key, text in changes.items()]
            return
        self._shadow = Loading(self._holder, self._head)
        part: list[Change] = []
        for kind, entity_id, text in self._base.rows():
            if (kind, entity_id) not in changes:
                part.append(Change(kind, entity_id, text.decode()))
            if len(part) >= SKETCH_STEP_ENTITIES:
                self._shadow.add(part)
                part = []
                yield
        self._shadow.add(part)
        fresh = [Change(*key, text) for key, text in changes.items() if text is not None]
        for at in range(0, len(fresh), SKETCH_STEP_ENTITIES):
            self._shadow.add(fresh[at : at + SKETCH_STEP_ENTITIES])
            yield
        if self._shadow.state_hash() != self._state_hash:
            raise ValueError("what was put together is another state")


_Differing = tuple[list[bytes], list[bytes]]
"""Items that only the peer holds, and those that only this replica does."""


def _is_large(differing: int, count: int) -> bool:
    return differing > max(DIFFERENCE_SMALL, count // DIFFERENCE_SHARE_MAX)
