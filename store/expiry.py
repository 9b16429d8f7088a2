"""What has expired is deleted: a sweep over the kinds that have a time to live.

Readers ignore it from the moment it expires (``Schema.is_live``); the sweep only gives back the
room. It reads a node's replica rather than the authority, a page at a time, and what it finds it
deletes by ordinary writes. One node of a cluster does it; a second one's deletions find nothing.
"""

from collections.abc import Iterator

from store.authority import Delete, Entity, Page, Query
from store.limits import PAGE_SIZE_MAX
from store.schema import kinds, schema

SWEEP_PAGE = PAGE_SIZE_MAX
"""Entities that one step looks at, and so the most that one changeset deletes."""


def expiring_kinds() -> list[str]:
    """The kinds whose entities may expire."""
    return [kind for kind in kinds() if schema(kind).ttl]


class Sweep:
    """One pass over all that may have expired. Decides only: its caller reads and writes.

    ``query`` is the page to read next, None at the end; ``take`` is given that page.
    """

    def __init__(self) -> None:
        self._kinds: Iterator[str] = iter(expiring_kinds())
        self.query: Query | None = None
        self._next_kind()

    def take(self, page: Page, now: float) -> tuple[Delete, ...]:
        """What to delete of the page that was asked for; ``now`` in Unix seconds."""
        assert self.query is not None, "nothing was asked for"
        kind = self.query.kind
        if page.next_id is None:
            self._next_kind()
        else:
            self.query = Query(kind, size=SWEEP_PAGE, after_id=page.next_id)
        return tuple(
            Delete(kind, entity["id"], expired_only=True)
            for entity in page.entities
            if _is_over(kind, entity, now)
        )

    def _next_kind(self) -> None:
        kind = next(self._kinds, None)
        self.query = None if kind is None else Query(kind, size=SWEEP_PAGE)


def _is_over(kind: str, entity: Entity, now: float) -> bool:
    return not schema(kind).is_live(entity, now)
