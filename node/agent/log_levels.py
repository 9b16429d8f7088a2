"""The level of the node's log while it runs: set here for a time, or for the whole cluster.

For the cluster it is a register (``gossip.registers``): every node obeys it, one that comes later,
too, until its time is over. What was set last on a node holds there; then what is set for the
cluster, if anything still is; then what the configuration says.
"""

from collections.abc import Callable
from typing import Protocol

from gossip.events import RegisterChanged
from node import logs

log = logs.get("node")

REGISTER = "log_level"


class Handle(Protocol):
    """What can be cancelled."""

    def cancel(self) -> object: ...


class LogLevels:
    """Satisfies node.admin.node_view.LogLevelsView.

    ``obey(level)`` puts a level in force in this process and its workers, those that are still to
    come included. ``set_register(name, value, seconds)`` is gossip's; ``later(seconds, what)``
    calls something later.
    """

    def __init__(
        self,
        configured: str,
        obey: Callable[[str], None],
        set_register: Callable[[str, str | None, float | None], object],
        later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self._configured = self._in_force = configured
        self._obey = obey
        self._set_register = set_register
        self._later = later
        self._here: str = ""
        self._everywhere: str = ""
        """Set for this node, and for the cluster; empty when nothing is."""
        self._end: Handle | None = None

    def current(self) -> str:
        """What is in force."""
        return self._in_force

    def set_here(self, level: str, seconds: float) -> None:
        """On this node; for 0 seconds: no longer what was set before."""
        self._set_here(level if seconds else "")
        if seconds:
            self._end = self._later(seconds, lambda: self._set_here(""))

    def set_everywhere(self, level: str, seconds: float) -> None:
        """On every node; for 0 seconds: no longer what was set before."""
        self._set_register(REGISTER, level if seconds else None, seconds or None)

    def heard(self, event: RegisterChanged) -> None:
        """A register has changed; of others than this one nothing is made."""
        if event.name == REGISTER:
            # Of a later version's levels this one knows none.
            self._everywhere = event.value if event.value in logs.LEVELS and event.value else ""
            if self._everywhere:
                self._set_here("")
            self._settle()

    def reconfigured(self, level: str) -> None:
        """The configuration was read again."""
        self._configured = level
        self._settle()
        # Workers that are to come are configured by it, too, but are to begin with what holds.
        self._obey(self._in_force)

    def _set_here(self, level: str) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        self._here = level
        self._settle()

    def _settle(self) -> None:
        level = self._here or self._everywhere or self._configured
        if level != self._in_force:
            before, self._in_force = self._in_force, level
            self._obey(level)
            log.log(logs.LEVELS[level], "log level changed", to=level, was=before)
