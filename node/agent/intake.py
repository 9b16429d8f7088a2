"""A peer's state on its way into what this node serves: what is told, and let go of, at its end.

``counts()`` says then whether its epoch counts: a higher one must be confirmed (DESIGN 3).
"""

from collections.abc import Callable

from gossip.replica import Outcome, Step
from store.changelog import Changelog
from store.changeset import Change
from store.installation import Installation
from store.reconcile import Reconciliation
from store.version import Head

Left = tuple[Head, Changelog]
"""What was held before: the head, and the changesets that led there."""


class Installing:
    """Satisfies gossip.replica.Installation."""

    def __init__(
        self,
        taken: Installation,
        counts: Callable[[], bool],
        held: Callable[[], Left],
        replaced: Callable[[Left], None],
        abandoned: Callable[[], None],
    ) -> None:
        self._taken = taken
        self._counts = counts
        self._held = held
        self._replaced = replaced
        self._abandoned = abandoned

    def feed(self, data: bytes) -> bool:
        return self._taken.feed(data)

    def resume(self) -> bytes:
        return self._taken.resume()

    def finish(self) -> Outcome:
        if not self._counts():
            self.abandon()
            return "stale"
        left = self._held()
        outcome = self._taken.finish()
        if outcome == "installed":
            self._replaced(left)
        else:
            self._abandoned()
        return outcome

    def abandon(self) -> None:
        self._taken.abandon()
        self._abandoned()


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
