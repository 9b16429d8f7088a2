"""A peer's state on its way into what this node serves: what is told, and let go of, at its end.

``counts()`` says then whether its epoch counts: a higher one must be confirmed (DESIGN 3).
"""

import asyncio
import gc
from collections.abc import Callable

from gossip.replica import Outcome, Step
from store.changelog import Changelog
from store.changeset import Change
from store.contents import PinnedState
from store.installation import Installation
from store.reconcile import Reconciliation
from store.version import Head

Left = tuple[Head, Changelog]
"""What was held before: the head, and the changesets that led there."""


class Arriving:
    """A state that comes in by kind and id, for workers to be fed ahead of its end: they hold it
    beside what they serve. Only its end shows whether it was whole and sound."""

    def __init__(self, head: Head, pin: Callable[[], PinnedState]) -> None:
        self.head = head
        self.pin = pin
        """What has come so far."""
        self.ended = False
        """Whether nothing comes any more, be it that all is there."""
        self._waiting: list[asyncio.Future[None]] = []

    async def more(self) -> None:
        """Wait until more comes, or it has ended."""
        if not self.ended:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def has_come(self) -> None:
        """Some more is there."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def end(self) -> None:
        """Nothing comes any more."""
        self.ended = True
        self.has_come()


class Installing:
    """Satisfies gossip.replica.Installation."""

    def __init__(
        self,
        taken: Installation,
        counts: Callable[[], bool],
        held: Callable[[], Left],
        replaced: Callable[[Left], None],
        abandoned: Callable[[], None],
        arriving: Arriving | None,
    ) -> None:
        self._taken = taken
        self._arriving = arriving
        self._counts = counts
        self._held = held
        self._replaced = replaced
        self._abandoned = abandoned

    def feed(self, data: bytes) -> bool:
        fits = self._taken.feed(data)
        gc.freeze()  # it lives long: the collector need never look at it, nor stop for it
        if self._arriving is not None:
            self._arriving.has_come()
        return fits

    def resume(self) -> bytes:
        return self._taken.resume()

    def finish(self) -> Outcome:
        if not self._counts():
            self.abandon()
            return "stale"
        left = self._held()
        outcome = self._taken.finish()
        self._end()
        if outcome == "installed":
            self._replaced(left)
        else:
            self._abandoned()
        return outcome

    def abandon(self) -> None:
        self._taken.abandon()
        self._end()
        self._abandoned()

    def _end(self) -> None:
        if self._arriving is not None:
            self._arriving.end()


class Reconciling:
    """Satisfies gossip.replica.Reconciliation."""

    def __init__(
        self,
        begun: Reconciliation,
        counts: Callable[[], bool],
        held: Callable[[], Left],
        mended: Callable[[Left, tuple[Change, ...]], None],
        replaced: Callable[[Left], None],
        abandoned: Callable[[], None],
    ) -> None:
        self._begun = begun
        self._counts = counts
        self._held = held
        self._mended = mended
        self._replaced = replaced
        self._abandoned = abandoned

    def proceed(self, answer: bytes = b"") -> bytes | Step:
        return self._begun.proceed(answer)

    def finish(self) -> Outcome:
        if not self._counts():
            self.abandon()
            return "stale"
        left = self._held()
        outcome = self._begun.finish()
        if outcome != "installed":
            self._abandoned()
        elif self._begun.applied is None:
            self._replaced(left)
        else:
            self._mended(left, self._begun.applied)
        return outcome

    def abandon(self) -> None:
        self._begun.abandon()
        self._abandoned()
