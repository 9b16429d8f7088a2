"""A large changeset beside the table that is served, until it is swapped in whole.

It goes into a copy of the table, which takes its place; where it isn't so large, in one go into the
table itself. No step takes longer than some milliseconds.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from node.channel import Change, Part
from node.proxy import limits
from node.proxy.health.settings import KINDS
from node.proxy.table import Table


class Staging:
    """``make()`` gives an empty table. Nothing else may change ``table`` meanwhile."""

    def __init__(self, first: Part, table: Table, make: Callable[[], Table]) -> None:
        self.version = first.version
        self._table = table
        self._make = make
        self._copies = first.total > limits.STAGED_AT_ONCE_MAX
        self.targets: deque[list[Change]] = deque()
        """Changes of upstreams and targets, as they came: of their health the gateway knows."""
        self._came: deque[Sequence[Change]] = deque()
        self._complete = False
        self._steps = self._run()
        self.outcome: Table | None = None
        """The table to be served from now on, be it the same."""

    def add(self, part: Part) -> None:
        """Its next slice has come."""
        self._came.append(part.changes)
        if targets := [change for change in part.changes if change[0] in KINDS]:
            self.targets.append(targets)
        self._complete = part.last

    def step(self) -> bool:
        """Do a piece of the work; False when there is nothing to do before more comes, or all is
        done (``outcome``)."""
        return self.outcome is None and next(self._steps)

    def _run(self) -> Iterator[bool]:
        """Whether there is more to do."""
        if self._copies:
            yield from self._into_copy()
        else:
            while not self._complete:
                yield False
            changes = [change for part in self._came for change in part]
            self._table.apply(self.version, changes)
            self.outcome = self._table
        yield False

    def _into_copy(self) -> Iterator[bool]:
        copy = self._make()
        for _ in copy.take_after(self._table):
            yield True
        while self._came or not self._complete:
            if self._came:
                copy.apply(self.version, self._came.popleft())
            yield bool(self._came) or self._complete
        self.outcome = copy
