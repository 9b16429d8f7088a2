"""A large changeset beside the table that is served, until it is swapped in whole.

Its entities are read as they come. A thousand of them are put in their places at once in the end;
where there are more, that would keep requests waiting: then they go into a copy of the table, which
takes its place. No step takes longer than a few milliseconds.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from node.channel import Change, Part
from node.proxy import limits
from node.proxy.health.settings import KINDS
from node.proxy.table import Given, Table


class Staging:
    """``make()`` gives an empty table. Nothing else may change ``table`` meanwhile."""

    def __init__(self, first: Part, table: Table, make: Callable[[], Table]) -> None:
        self.version = first.version
        self._table = table
        self._make = make
        self._copies = first.total > limits.PLACED_AT_ONCE_MAX
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
            copy = self._make()
            for _ in copy.take_after(self._table):
                yield True
            while not self._is_at_end():
                if self._came:
                    copy.apply(self.version, self._came.popleft())
                yield bool(self._came) or self._complete
            copy.apply(self.version, ())
            self.outcome = copy
        else:
            given: list[Given] = []
            while not self._is_at_end():
                if self._came:
                    given += self._table.read(self._came.popleft())
                yield bool(self._came) or self._complete
            self._table.put(self.version, given)
            self.outcome = self._table
        yield False

    def _is_at_end(self) -> bool:
        return self._complete and not self._came
