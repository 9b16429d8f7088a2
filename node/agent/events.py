"""What happens on this node, for those who watch: membership and revisions, as plain dicts.

Every event has ``type`` and ``at`` (Unix seconds). ``member``: id, name, address, status, previous.
``revision``: revision, origin, committed_at, changes. ``dropped``: count, for a watcher too slow.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from node.agent.limits import EVENT_QUEUE_MAX

Event = dict[str, Any]


class _Subscription:
    def __init__(self) -> None:
        self.queue: deque[Event] = deque()
        self.dropped = 0
        self.wake = asyncio.Event()


class EventBus:
    """Hands each event to every subscriber; a slow one loses its oldest events and is told so."""

    def __init__(self) -> None:
        self._subscriptions: set[_Subscription] = set()
        self.dropped = 0

    @property
    def subscribers(self) -> int:
        """How many watch now."""
        return len(self._subscriptions)

    def publish(self, event: Event) -> None:
        """Queue an event for everyone who watches now."""
        for subscription in self._subscriptions:
            if len(subscription.queue) >= EVENT_QUEUE_MAX:
                subscription.queue.popleft()
                subscription.dropped += 1
                self.dropped += 1
            subscription.queue.append(event)
            subscription.wake.set()

    async def subscribe(self) -> AsyncGenerator[Event, None]:
        """All events from the first step of the iterator on, until it is closed."""
        subscription = _Subscription()
        self._subscriptions.add(subscription)
        try:
            while True:
                await subscription.wake.wait()
                subscription.wake.clear()
                if subscription.dropped:
                    dropped, subscription.dropped = subscription.dropped, 0
                    yield {"type": "dropped", "at": time.time(), "count": dropped}
                while subscription.queue:
                    yield subscription.queue.popleft()
        finally:
            self._subscriptions.discard(subscription)
