"""What is live in all of this node's workers: since when, and ``revision`` events that tell it."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from node.admin.node_view import LiveVersion
from node.agent.events import Event
from node.agent.limits import REVISION_EVENT_CHANGES_MAX, REVISIONS_PENDING_MAX
from store.changeset import Body, Change
from store.version import Version


class RevisionEvents:
    """Holds back what is applied until it is live, then publishes it if anybody watches then: of
    what nobody wants to know, no names are read."""

    def __init__(self, publish: Callable[[Event], None], is_watched: Callable[[], bool]) -> None:
        self._publish = publish
        self._is_watched = is_watched
        self._pending: deque[tuple[Version, Body, int]] = deque(maxlen=REVISIONS_PENDING_MAX)
        self.latest: LiveVersion | None = None
        """What every worker serves now; None before anything is served."""

    def applied(self, version: Version, body: Body, total: int) -> None:
        """The agent's replica has it; ``total`` is the number of changes, of which the body may
        have only the first."""
        self._pending.append((version, body, total))

    def live(self, version: tuple[int, int, int], at: float) -> None:
        """Every worker serves ``version``, and so all before it, since ``at`` (Unix seconds)."""
        self.latest = LiveVersion(Version(*version), at)
        while self._pending and self._pending[0][0] <= version:
            reached, body, total = self._pending.popleft()
            if not self._is_watched():
                continue
            self._publish(
                {
                    "type": "revision",
                    "at": at,
                    "revision": str(reached),
                    "origin": body.origin,
                    "committed_at": body.committed_at,
                    "changes": [_named(one) for one in body.changes[:REVISION_EVENT_CHANGES_MAX]],
                    "changes_total": total,
                }
            )


def _named(change: Change) -> list[str]:
    """[operation, kind, name or id]."""
    if change.entity is None:
        return ["delete", change.kind, change.id]
    entity: dict[str, Any] = json.loads(change.entity)
    return ["put", change.kind, entity.get("name") or change.id]
