"""What a node's HTTP APIs ask of it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from node import logs
from node.admin.node_view import (
    AuthorityStatus,
    Fenced,
    LiveVersion,
    NotAvailable,
    ReplicaFileStatus,
)
from node.agent.documents import Documents
from node.agent.events import Event
from node.agent.gossip_address import MembershipRefused
from node.agent.parts import Parts
from node.agent.reload import Reloader
from node.config.settings import Settings
from node.named_version import NamedVersion
from node.version import VERSION
from store.authority import Committed, Mutation
from store.errors import AuthorityUnavailable
from store.version import Head

log = logs.get("node")


class Answers:
    """Satisfies node.admin.node_view.NodeView.

    ``leave()`` makes the node leave the cluster and stop.
    """

    def __init__(self, parts: Parts, reloader: Reloader, leave: Callable[[], None]) -> None:
        self._parts = parts
        self._reloader = reloader
        self._leave = leave
        self.draining = False
        """Whether it is about to end."""
        self.hostname = parts.hostname
        self.version = VERSION
        self.replica = parts.replica
        self.authority = parts.authority
        self.measures = parts.measures
        self.keys = parts.key_changes
        self.caches = parts.caches
        self.log_levels = parts.log_levels
        self.health = parts.health
        self.history = parts.history

    @property
    def settings(self) -> Settings:
        return self._parts.settings

    @property
    def node_id(self) -> str:
        return self._parts.identity.node_id

    @property
    def node_name(self) -> str:
        return self._parts.identity.name

    def notices(self) -> Sequence[str]:
        return self._parts.participation.notices()

    def settings_public(self) -> dict[str, Any]:
        return self._parts.settings.public()

    def head(self) -> Head:
        return self._parts.serving.head()

    def state_hash(self) -> bytes | None:
        return self._parts.serving.replica.state_hash()

    def live(self) -> LiveVersion | None:
        return self._parts.revisions.latest

    def members(self) -> list[dict[str, Any]]:
        return self._parts.membership.members()

    def authority_status(self) -> AuthorityStatus:
        link, split = self._parts.link, self._parts.histories.split
        return AuthorityStatus(
            link.reachable,
            link.reason,
            link.info,
            "" if split is None else "refused" if split.refuses else "taken",
            "" if link.changed is None else link.changed[1],
        )

    def confirmation_age(self) -> float:
        return self._parts.membership.confirmation_age()

    def replica_file_status(self) -> ReplicaFileStatus:
        return self._parts.keeper.status()

    def replica_problem(self) -> str:
        return self._parts.repairing.problem

    def audits(self) -> Mapping[str, Any]:
        return {
            "replica": self._parts.replica_audit.status(),
            "workers": self._parts.worker_audit.status(),
            "database": self._parts.cluster_audit.status(),
        }

    def ready(self) -> tuple[bool, str]:
        parts = self._parts
        if self.draining:
            return False, "draining"
        if not parts.serving.loaded:
            reason = "" if parts.documents is not None else parts.link.reason
            return False, reason or "no configuration loaded yet"
        if not parts.following.served:
            return False, parts.link.reason or "not yet known whether the configuration is current"
        if not parts.workers.listening:
            return False, "no worker listens yet"
        return True, "ready"

    def worker_pids(self) -> Sequence[int]:
        return self._parts.workers.pids()

    def worker_counters(self) -> Mapping[str, int]:
        return self._parts.workers.counters()

    def worker_labelled(self) -> Mapping[str, int]:
        return self._parts.workers.labelled()

    def counters(self) -> Mapping[str, int]:
        return {
            **self._parts.membership.counters(),
            **self._parts.keeper.counters(),
            **self._parts.repairing.counters(),
            **self._parts.authority.counters(),
            **self._parts.replica_audit.counters(),
            **self._parts.worker_audit.counters(),
            **self._parts.cluster_audit.counters,
            **self._parts.caches.counters(),
            **self._parts.health.counters(),
            "worker_restarts": self._parts.workers.restarts,
            "reloads": self._reloader.reloads,
            "events_dropped": self._parts.bus.dropped,
        }

    @property
    def documents(self) -> Documents | None:
        return self._parts.documents

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        return await self._parts.commits.commit(mutations, write_id)

    async def fence(self, wanted: NamedVersion, seconds: float) -> Fenced:
        return await self._parts.fences.fence(wanted, seconds)

    async def join(self, addresses: Sequence[str]) -> None:
        try:
            await self._parts.membership.join_names(addresses)
        except MembershipRefused as error:
            raise NotAvailable(str(error)) from error

    async def force_leave(self, node_id: str) -> None:
        removal = self._parts.membership.force_leave(node_id)
        await self._parts.removals.add(removal)
        log.notice("forced out", id=removal.id, generation=removal.generation)
        try:
            await self._parts.directory.tell()
        except AuthorityUnavailable as error:
            log.warning(
                "the authority will be told who was forced out when it can be", reason=str(error)
            )

    def leave(self) -> None:
        self._leave()

    def subscribe(self) -> AsyncIterator[Event]:
        return self._parts.bus.subscribe()
