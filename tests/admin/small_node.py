"""A node small enough for tests: a real authority and replica, no gossip and no workers."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from gossip.invalidation import Invalidation
from gossip.keyring import configured
from node.admin.node_view import (
    AddressReport,
    AuthorityStatus,
    DocumentsView,
    Fenced,
    HistoryStatus,
    HistoryView,
    LiveVersion,
    Purging,
    ReplicaFileStatus,
    TargetReport,
)
from node.config.settings import Settings
from node.metrics.measures import Measures
from node.named_version import NamedVersion
from node.proxy.health.settings import Checks, Target
from store.authority import Authority, AuthorityInfo, Committed, Mutation
from store.errors import AuthorityUnavailable
from store.replica import Replica
from store.version import EMPTY, Head
from tests.agent.key_nodes import K1, Database
from tests.agent.key_nodes import Node as KeyNode

NODE_ID = "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a"


class SmallCaches:
    """Satisfies node.admin.node_view.CachesView, and remembers."""

    def __init__(self) -> None:
        self.invalidated: list[Invalidation] = []
        self.forgotten: list[str | None] = []
        self.cached: dict[str, tuple[str, ...]] = {}
        self.refusal: Exception | None = None

    def invalidate(self, what: Invalidation) -> Purging:
        if self.refusal is not None:
            raise self.refusal
        self.invalidated.append(what)
        return Purging(NODE_ID, len(self.invalidated))

    def forget(self, key: str | None) -> None:
        self.forgotten.append(key)

    async def peek(self, key: str) -> Sequence[str] | None:
        return self.cached.get(key)


class SmallHealth:
    """Satisfies node.admin.node_view.TargetHealthView: every target is its own address, and those
    in ``out`` take no requests."""

    def __init__(self) -> None:
        self.settings: list[tuple[str, str, str, int, bool]] = []
        self.out: set[str] = set()
        """Hosts."""
        self.unresolved: set[str] = set()
        self.reports: list[TargetReport] = []
        self.refusal: Exception | None = None

    def set(self, upstream_id: str, target_id: str, host: str, port: int, *, healthy: bool) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.settings.append((upstream_id, target_id, host, port, healthy))

    async def report(self, target: Target) -> TargetReport:
        if target.host in self.unresolved:
            return TargetReport(target, (), f"'{target.host}' does not resolve")
        available = target.host not in self.out
        address = AddressReport(target.host, target.port, target.weight, available)
        return TargetReport(target, (address,), "")

    async def report_upstream(self, upstream_id: str) -> Sequence[TargetReport]:
        return self.reports

    def is_healthy(self, checks: Checks, reports: Sequence[TargetReport]) -> bool:
        return any(one.available for report in reports for one in report.addresses)

    def addresses_by_state(self) -> Mapping[str, int]:
        return {"healthy": 3, "unhealthy": len(self.out)}


class SmallLogLevels:
    """Satisfies node.admin.node_view.LogLevelsView, and remembers."""

    def __init__(self) -> None:
        self.level = "notice"
        self.here: list[tuple[str, float]] = []
        self.everywhere: list[tuple[str, float]] = []

    def current(self) -> str:
        return self.level

    def set_here(self, level: str, seconds: float) -> None:
        self.here.append((level, seconds))

    def set_everywhere(self, level: str, seconds: float) -> None:
        self.everywhere.append((level, seconds))


class SmallHistory:
    """Satisfies node.admin.node_view.HistoryView; ``told`` may be set."""

    def __init__(self) -> None:
        self.told = HistoryStatus(None, "not connected yet", None, EMPTY, None, None, ())

    async def status(self) -> HistoryStatus:
        return self.told

    async def adopt(self) -> str:
        return "adopted"


class SmallNode:
    """Satisfies node.admin.node_view.NodeView; attributes may be set to play a situation."""

    def __init__(
        self, settings: Settings, authority: Authority, replica: Replica, info: AuthorityInfo
    ) -> None:
        self.settings = settings
        self.node_id = NODE_ID
        self.node_name = "gw1"
        self.hostname = "host1"
        self.version = "0.1.0"
        self.authority = authority
        self.replica = replica
        self.info = info
        self.down: str = ""
        """Why the authority can't be reached; empty when it can."""
        self.readiness = (True, "ready")
        self.joined: list[str] = []
        self.leaving = False
        self.served: LiveVersion | None = None
        self.told: list[str] = []
        self.peers: list[dict[str, Any]] = []
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.subscribers = 0
        self.keyring = KeyNode(settings.prefix, configured(K1), Database())
        """To be started by whoever wants keys."""
        self.keys = self.keyring.changes
        self.caches = SmallCaches()
        self.log_levels = SmallLogLevels()
        self.health = SmallHealth()
        self.history: HistoryView = SmallHistory()
        self.documents: DocumentsView | None = None
        self.measures = Measures()
        self.heard_ago = 2.5
        """Of the authority's head, in seconds."""
        self.counted: dict[str, int] = {"packets_received": 5}
        self.labelled: dict[str, int] = {}
        self.fences: list[tuple[NamedVersion, float]] = []
        """Those that were waited for."""
        self.fenced = Fenced("complete", 3, (), ())
        """What comes of them."""

    def settings_public(self) -> dict[str, Any]:
        return self.settings.public()

    def head(self) -> Head:
        return Head(*self.replica.head())

    def state_hash(self) -> bytes | None:
        return self.replica.state_hash()

    def live(self) -> LiveVersion | None:
        return self.served

    def members(self) -> list[dict[str, Any]]:
        own = {
            "id": self.node_id,
            "name": self.node_name,
            "address": "127.0.0.1:8005",
            "status": "alive",
            "role": "traditional",
            "version": self.version,
            "zone": "",
            "incarnation": 1,
            "revision": str(self.head().version),
            "rtt": None,
        }
        return [own, *self.peers]

    def notices(self) -> Sequence[str]:
        return self.told

    def authority_status(self) -> AuthorityStatus:
        return AuthorityStatus(not self.down, self.down, self.info)

    def confirmation_age(self) -> float:
        return self.heard_ago

    def replica_file_status(self) -> ReplicaFileStatus:
        return ReplicaFileStatus(self.head().version, "")

    def replica_problem(self) -> str:
        return ""

    def audits(self) -> Mapping[str, Any]:
        return {
            "replica": {"finished_at": None, "damaged": False},
            "workers": {"finished_at": None, "last_difference": None},
            "database": {"finished_at": None, "rows_refused": 2, "refused": ["a", "b"]},
        }

    def ready(self) -> tuple[bool, str]:
        return self.readiness

    def worker_pids(self) -> Sequence[int]:
        return [1]

    def worker_labelled(self) -> Mapping[str, int]:
        return self.labelled

    def worker_counters(self) -> Mapping[str, int]:
        return {"connections_active": 3, "total_requests": 7}

    def counters(self) -> Mapping[str, int]:
        return self.counted

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        if self.down:
            raise AuthorityUnavailable(self.down)
        committed = await self.authority.write(mutations, origin=self.node_id, write_id=write_id)
        if committed.changeset is not None:
            self.replica.offer(*committed.changeset)
        return committed

    async def fence(self, wanted: NamedVersion, seconds: float) -> Fenced:
        self.fences.append((wanted, seconds))
        return self.fenced

    async def join(self, addresses: Sequence[str]) -> None:
        self.joined += addresses

    async def force_leave(self, node_id: str) -> None:
        self.peers = [peer for peer in self.peers if peer["id"] != node_id]

    def leave(self) -> None:
        self.leaving = True

    async def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        self.subscribers += 1
        try:
            while True:
                yield await self.events.get()
        finally:
            self.subscribers -= 1
