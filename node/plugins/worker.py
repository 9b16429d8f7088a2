"""What plugins may use of the worker that they run in, put together."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from node.plugins.counters import SharedCounters
from node.plugins.interface import Log, Lookups
from node.plugins.series import Series


class PluginWorker:
    """Satisfies node.plugins.interface.Worker."""

    def __init__(
        self,
        log: Log,
        lookups: Lookups,
        counters: SharedCounters,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self.lookups = lookups
        self.counters = counters
        self.series = Series()
        self.spawn = spawn
        self.now = now
