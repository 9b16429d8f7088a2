"""Targets whose health was set by hand, for the whole cluster.

Each setting is a register (``gossip.registers``): it is on every node in milliseconds, also on one
that was away. As in Kong it sets a state that later checks change again; the register is deleted
when they have, so that a node which restarts doesn't fall back. That a target is healthy needs no
telling to who comes later, so that ends by itself."""

import hashlib
import json
from collections.abc import Callable
from typing import NamedTuple

from gossip.events import RegisterChanged
from node.admin.node_view import NotAvailable
from node.agent.health.limits import MANUAL_HEALTHY_SECONDS, MANUAL_MAX

_PREFIX = "target_health/"

SetRegister = Callable[[str, str | None, float | None], object]
"""Gossip's: name, value (None: deleted), seconds (None: for good)."""


class Setting(NamedTuple):
    """What was set, for one address or, without a host, for all of a target's."""

    upstream_id: str
    target_id: str
    host: str
    port: int
    healthy: bool

    @property
    def subject(self) -> str:
        """Names what it is about, within a register's name."""
        about = f"{self.target_id} {self.host} {self.port}"
        return _PREFIX + hashlib.sha256(about.encode()).hexdigest()[:32]


class ManualHealth:
    """``on_set(setting)`` is told of each, from whichever node."""

    def __init__(self, set_register: SetRegister, on_set: Callable[[Setting], None]) -> None:
        self._set_register = set_register
        self._on_set = on_set
        self._kept: dict[str, Setting] = {}
        """Those that are in force as registers, by register."""

    def set(self, setting: Setting) -> None:
        """Set it on every node. Raises NotAvailable."""
        if not setting.healthy and len(self._kept) >= MANUAL_MAX:
            raise NotAvailable(f"the health of {MANUAL_MAX} targets is set already")
        if not setting.host:
            self.overridden(setting.target_id, setting.healthy)
        seconds = MANUAL_HEALTHY_SECONDS if setting.healthy else None
        self._set_register(setting.subject, json.dumps(setting), seconds)

    def heard(self, event: RegisterChanged) -> None:
        """A register has changed, this kind or another."""
        if not event.name.startswith(_PREFIX):
            return
        setting = None if event.value is None else _read(event.value)
        if setting is None or setting.subject != event.name:
            self._kept.pop(event.name, None)
            return
        self._kept[event.name] = setting
        self._on_set(setting)

    def kept(self, target_id: str) -> list[Setting]:
        """What is in force for a target: for one that this node has just come to know."""
        return [one for one in self._kept.values() if one.target_id == target_id]

    def overridden(self, target_id: str, healthy: bool) -> None:
        """This holds now instead of what was set: that is over."""
        for setting in self.kept(target_id):
            if setting.healthy != healthy:
                self._end(setting)

    def gone(self, target_id: str) -> None:
        """There is no such target any more."""
        for setting in self.kept(target_id):
            self._end(setting)

    def _end(self, setting: Setting) -> None:
        self._kept.pop(setting.subject, None)
        try:
            self._set_register(setting.subject, None, None)
        except NotAvailable:
            return  # a data plane can't; others find out, too


def _read(value: str) -> Setting | None:
    try:
        upstream_id, target_id, host, port, healthy = json.loads(value)
        return Setting(str(upstream_id), str(target_id), str(host), int(port), healthy is True)
    except (ValueError, TypeError):
        return None
