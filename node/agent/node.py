"""A node, from start to end: puts the parts together and keeps the order of things.

Start: Admin and status listeners, workers, authority, gossip; the proxy listens once the replica
holds a confirmed state. Stop: leave, stop accepting, finish, exit.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from gossip.address import format_address
from gossip.events import (
    AuthorityAdopted,
    Behind,
    ChangesetApplied,
    EpochHeard,
    FenceAsked,
    FenceEnded,
    HistoryAnswered,
    HistoryAsked,
    Isolated,
    KeyringChanged,
    KeyUnknown,
    MemberChanged,
    MemberForgotten,
    Purged,
    RegisterChanged,
    SnapshotFailed,
    SnapshotInstalled,
    StateDiffers,
)
from gossip.events import Event as GossipEvent
from node import logs
from node.admin.app import create_admin_app, create_status_app
from node.admin.node_view import (
    AuthorityStatus,
    Fenced,
    HistoryView,
    LiveVersion,
    NotAvailable,
    ReplicaFileStatus,
)
from node.agent.abandoned import Abandoned
from node.agent.authorities import make_authority
from node.agent.authority_desk import AuthorityDesk, NoDesk
from node.agent.authority_link import AuthorityLink
from node.agent.caches import Caches
from node.agent.certificate import server_context
from node.agent.cluster_audit import ClusterAudit
from node.agent.directory import Directory
from node.agent.documents import Documents
from node.agent.events import Event, EventBus
from node.agent.fences import Fences
from node.agent.following import Following
from node.agent.histories import Histories
from node.agent.http_servers import HttpServers
from node.agent.identity import OwnIdentity, StoredIdentity
from node.agent.key_changes import KeyChanges
from node.agent.keys import Keys
from node.agent.limits import (
    AUTHORITY_PATIENCE_SECONDS,
    COMMIT_WORKERS_SECONDS,
    HANDSHAKE_SECONDS,
    LEAVE_SECONDS,
)
from node.agent.listening import Listening
from node.agent.log_levels import LogLevels
from node.agent.membership import Membership, MembershipRefused
from node.agent.participation import Participation
from node.agent.peers import Peers
from node.agent.proxying import log_path, proxy_settings, replica_path
from node.agent.reload import Reloader, changed_fixed, with_reloadable
from node.agent.removals import Removals
from node.agent.repairing import Repairing
from node.agent.replica_audit import ReplicaAudit
from node.agent.replica_keeper import ReplicaKeeper
from node.agent.revisions import RevisionEvents
from node.agent.serving import Serving
from node.agent.signals import Signals
from node.agent.sockets import SlotSockets
from node.agent.stances import heard
from node.agent.sweeping import Sweeping
from node.agent.worker_audit import WorkerAudit
from node.agent.workers import Workers
from node.config.keyring_file import configured_keyring
from node.config.settings import Settings
from node.metrics.measures import Measures
from node.named_version import NamedVersion
from node.version import VERSION
from store import off
from store.authority import AuthorityInfo, Committed, Mutation
from store.changeset import Change, Changeset, decode_body
from store.contents import PinnedState
from store.errors import AuthorityUnavailable
from store.poll import Poll
from store.replica import Replica
from store.version import Head, Version

log = logs.get("node")


class Node:
    """One running node. Satisfies node.admin.node_view.NodeView."""

    def __init__(
        self,
        settings: Settings,
        stored: StoredIdentity,
        read_settings: Callable[[], Settings],
        reloaded: Callable[[tuple[str, ...]], None],
    ) -> None:
        self.settings = settings
        self.hostname = socket.gethostname()
        self.version = VERSION
        self.replica = Replica("")
        self.authority = make_authority(
            settings, lambda: self._serving.version, lambda: self._link.confirmed_head()
        )
        self._identity = OwnIdentity(
            settings.prefix, stored, settings.node_name or "", self.hostname
        )
        self._rng = random.Random()
        self.measures = Measures()
        self._bus = EventBus()
        self._revisions = RevisionEvents(self._bus.publish)
        self._serving = Serving(self.replica, self._applied, self._loaded)
        self._serving.on_mended = self._mended
        self._sockets = SlotSockets()
        self._workers = Workers(
            proxy_settings(settings),
            self._sockets.bind(settings.proxy_listen, settings.nginx_worker_processes),
            self._serving,
            lambda: self._keeper.kept(),
            self._live,
        )
        self._keeper = ReplicaKeeper(replica_path(settings), self._serving, self._workers.vouch)
        self._servers = HttpServers()
        self._membership = Membership(settings, self._identity, self._serving, self._heard)
        self.caches = Caches(self._workers, self._membership.purge, lambda: self._serving.version)
        self.log_levels = LogLevels(
            settings.log_level,
            self._log_from,
            self._membership.set_register,
            lambda seconds, what: asyncio.get_running_loop().call_later(seconds, what),
        )
        self._histories = Histories(
            self.authority,
            lambda: self.node_id,
            lambda: self._link.confirmed_head(),
            self.replica,
            lambda: self._link.still_ours(),
            self._membership.ask_history,
            self._membership.answer_history,
            self._membership.running_count,
            self._raised,
            lambda reason: self._link.failed(reason),
            self._rng,
        )
        self._fences = Fences(self._membership, self._serving, self._workers)
        self._link = AuthorityLink(
            self.authority,
            self._serving,
            self._histories,
            lambda: self.node_id,
            self._membership.committed,
            self._membership.confirmed,
            self._identified,
            self._lost_authority,
            lambda: self.replica.authority_id if self._following.served else "",
            self._membership.running_count,
            self._membership.confirmation_age,
            self._rng,
            settings.pg_timeout / 1000 + AUTHORITY_PATIENCE_SECONDS,
            self._membership.write_pause,
        )
        self._abandoned = Abandoned(settings.prefix)
        self._serving.on_abandoned = self._abandoned.keep
        self._serving.authority_answers = lambda: self._link.reachable
        self._keys = Keys(
            settings.prefix,
            configured_keyring(settings.cluster_keyring_file, settings.cluster_encrypt_key),
            self._link if settings.database != "off" else None,
            self._membership,
        )
        self._membership.authority_id = self._keys.authority_id
        self.keys = KeyChanges(self._keys, self._membership)
        self._peers = Peers(settings.prefix, self._membership.running)
        self._removals = Removals(settings.prefix, self.authority)
        self._directory = Directory(
            self.authority, self._membership, self._removals, lambda: self._link.connection
        )
        self._participation = Participation(
            self.authority,
            self._identity,
            self._membership,
            self._keys,
            self._peers,
            self._removals,
        )
        self._documents: Documents | None = None
        if settings.database == "off":
            own_id = off.authority_id(settings.cluster_name)
            self.replica.authority_id = self._membership.authority_id = own_id
            self._documents = Documents(
                settings.prefix, self._serving, self._membership, self._workers.until
            )
        self._following = Following(
            self._link,
            self._serving,
            self._membership,
            Poll(settings.db_update_frequency, self._rng),
            self._rng,
            self._workers.listen,
        )
        self._repairing = Repairing(
            self._link, self._serving, self._membership, self._following.look
        )
        self._link.from_peers = self._repairing.from_peers
        self._following.on_stuck = self._repairing.cant_follow
        self._serving.on_broken = self._repairing.damaged
        self.history: HistoryView = NoDesk()
        if settings.database != "off":
            self.history = AuthorityDesk(
                self._link, self._histories, self._abandoned, self._following
            )
        self._listening = Listening(
            lambda: self.node_id, self._link, self._membership, self._following.committed
        )
        self._sweeping = Sweeping(
            self.replica,
            lambda: self._link.reachable and self._membership.is_first(),
            lambda mutations: self.commit(mutations, None),
        )
        self._cluster_audit = ClusterAudit(
            self._link,
            self._serving,
            lambda: self._link.reachable and self._membership.is_first(),
            settings.cluster_audit_interval,
        )
        self._replica_audit = ReplicaAudit(self._serving, self._replace_replica)
        self._worker_audit = WorkerAudit(self._serving, self._workers)
        self._reloader = Reloader(read_settings, self._take_settings, reloaded)
        self._draining = False
        self._signals: Signals | None = None

    # Life cycle

    async def run(self, signals: Signals) -> None:
        """Serve until a signal says stop. Raises what makes the node unable to go on."""
        self._signals = signals
        life = asyncio.create_task(self._live_on())
        try:
            await _first_of(life, signals.stop)
            if life.done():
                await _outcome(life)
                return
            life.cancel()
            await asyncio.wait({life})
            self._reloader.cancel()
            leaving = asyncio.create_task(self._leave(signals.stop.result()))
            await _first_of(leaving, signals.at_once)
            leaving.cancel()
        finally:
            self._workers.kill()
            await self._membership.close()
            await self._identity.finish()
            await self._peers.finish()
            await self._keys.finish()
            await self._keeper.finish()
            await self._abandoned.finish()
            await self._servers.close()
            await self.authority.close()
        log.notice("stopped")

    async def _live_on(self) -> None:
        """Start, then keep to the authority; never returns."""
        settings = self.settings
        tls = None
        if any(listener.ssl for listener in (*settings.admin_listen, *settings.status_listen)):
            tls = server_context(settings)
        await self._servers.serve(
            create_admin_app(self), settings.admin_listen, key="admin_listen", tls=tls
        )
        await self._servers.serve(
            create_status_app(self), settings.status_listen, key="status_listen", tls=tls
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._workers.start())
            attempt = tasks.create_task(self._try_authority())
            tasks.create_task(self._restore(attempt))
        self._keeper.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._participation.run())
            tasks.create_task(self._peers.keep_fresh())
            tasks.create_task(self._replica_audit.run())
            tasks.create_task(self._worker_audit.run())
            if self._documents is None:
                tasks.create_task(self._histories.run())
                tasks.create_task(self._following.run())
                tasks.create_task(self._directory.run())
                tasks.create_task(self._listening.run())
                tasks.create_task(self._sweeping.run())
                tasks.create_task(self._cluster_audit.run())
            tasks.create_task(
                self._following.serve_in_silence(
                    lambda: self._participation.has_asked,
                    self._knows_others,
                    self._look_at_document if self._documents is not None else None,
                )
            )

    async def _try_authority(self) -> bool:
        return self._documents is None and await self._link.open()

    def _knows_others(self) -> bool:
        return bool(self.settings.cluster_seeds or self._peers.known())

    async def _restore(self, attempt: "asyncio.Task[bool]") -> None:
        """Begin with what this node's disk holds; ``attempt`` is the first to reach the authority.

        Workers need little of it. A node that is alone lets them serve that, before it reads a
        million credentials, which they look up in the file.
        """

        async def on_hot(hot: PinnedState) -> None:
            await asyncio.wait({attempt})
            if self._link.reachable or self._knows_others():
                return
            self._serving.begin_with(hot)
            self._workers.publish_state()
            self._following.serve_alone()
            await self._workers.until_ready()

        def expected_id() -> str:
            if self._documents is not None:
                return self.replica.authority_id
            return self._link.info.id if self._link.info is not None else self._keys.authority_id

        authority_id = await self._keeper.load(expected_id, on_hot)
        if authority_id and self._link.info is None:
            self.replica.authority_id = authority_id
            self._membership.follow(authority_id)

    async def _leave(self, seconds: float | None) -> None:
        """Leave, stop accepting, finish: in that order."""
        log.notice("leaving", timeout="none" if seconds is None else seconds)
        self._draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(self._membership.leave(), self._directory.leave())
        self._sockets.take_no_more()
        await asyncio.sleep(HANDSHAKE_SECONDS)
        draining = asyncio.create_task(self._workers.drain(seconds))
        await asyncio.sleep(0)  # the workers have been told; what is ours of the sockets can go
        self._sockets.keep_only((), 0)
        await draining

    def shutdown_timeout(self) -> float:
        """How long TERM and INT let requests finish, in seconds."""
        return self.settings.shutdown_timeout

    def reload(self) -> None:
        """SIGHUP: read the configuration again and put new workers on the same sockets."""
        self._reloader.request()

    async def _take_settings(self, wanted: Settings) -> None:
        fixed = changed_fixed(self.settings, wanted)
        if fixed:
            log.warning("these keys change with a restart only", keys=", ".join(fixed))
        settings = with_reloadable(self.settings, wanted)
        sockets = self._sockets.bind(settings.proxy_listen, settings.nginx_worker_processes)
        logs.configure(settings.log_level, log_path(settings, settings.proxy_error_log))
        self.log_levels.reconfigured(settings.log_level)
        await self._workers.replace(proxy_settings(settings), sockets, settings.shutdown_timeout)
        self._sockets.keep_only(settings.proxy_listen, settings.nginx_worker_processes)
        self.settings = settings
        await self._look_at_document()
        log.notice("reloaded", conf=settings.source)

    async def _look_at_document(self) -> None:
        if self._documents is not None:
            await self._documents.look_at(self.settings.declarative_config)

    def reopen_logs(self) -> None:
        """SIGUSR1: a log rotation has renamed the files."""
        logs.reopen()
        self._workers.reopen_logs()

    # What the parts tell

    def _log_from(self, level: str) -> None:
        logs.set_level(level)
        self._workers.log_from(level)

    def _lost_authority(self) -> None:
        self._following.lost()

    def _applied(self, changeset: Changeset) -> None:
        self._keeper.applied(changeset)
        body = decode_body(changeset.body)
        self._revisions.applied(changeset.version, body)
        self._workers.publish(changeset.version, body.changes)
        self._fences.moved()

    def _loaded(self) -> None:
        self._keeper.replaced()
        self._replica_audit.replaced()
        self._workers.publish_state()
        self._fences.moved()

    def _mended(self, version: Version, changes: tuple[Change, ...]) -> None:
        self._keeper.replaced()
        self._workers.publish(version, changes)

    async def _replace_replica(self) -> None:
        self._repairing.damaged("an audit has found that it isn't what was applied")

    def _live(self, version: tuple[int, int, int]) -> None:
        self._revisions.live(version, time.time())

    def _heard(self, event: GossipEvent) -> None:
        if isinstance(event, MemberChanged):
            member = event.member
            log.notice("member", name=member.name, status=member.status, was=event.previous)
            self._bus.publish(
                {
                    "type": "member",
                    "at": time.time(),
                    "id": member.id,
                    "name": member.name,
                    "address": format_address(member.address),
                    "status": member.status,
                    "previous": event.previous,
                }
            )
            self._peers.changed()
            self._following.moved()
        elif isinstance(event, Behind):
            self._repairing.behind(event)
        elif isinstance(event, StateDiffers):
            self._repairing.differs(event)
        elif isinstance(event, EpochHeard):
            self._following.heard_epoch(event.version)
        elif isinstance(event, HistoryAsked):
            self._histories.asked(event.asker, event.sequence, heard(event.theirs))
        elif isinstance(event, HistoryAnswered):
            theirs = None if event.theirs is None else heard(event.theirs)
            self._histories.answered(event.member, theirs)
        elif isinstance(event, ChangesetApplied):
            self.measures.propagation.observe(event.delay, event.hops)
            self._following.moved()
            self._repairing.moved()
        elif isinstance(event, SnapshotInstalled):
            self._following.moved()
            self._repairing.installed()
        elif isinstance(event, AuthorityAdopted):
            log.notice(
                "following the authority of a peer until this node's own has been read",
                authority=event.authority,
                peer=format_address(event.address),
            )
            self.replica.authority_id = event.authority
            self._keeper.identified(event.authority)
        elif isinstance(event, Isolated):
            log.warning("no other member answers", for_seconds=round(event.seconds))
        elif isinstance(event, FenceAsked):
            self._fences.asked(event)
        elif isinstance(event, FenceEnded):
            self._fences.ended(event)
        elif isinstance(event, KeyringChanged):
            self._keys.adopted(event.keyring)
        elif isinstance(event, Purged):
            self.caches.purged(event)
        elif isinstance(event, RegisterChanged):
            self.log_levels.heard(event)
        elif isinstance(event, KeyUnknown):
            self._keys.unknown(event.key_id)
        elif isinstance(event, SnapshotFailed):
            self._repairing.failed(event.reason)
            self._following.snapshot_failed()
        elif isinstance(event, MemberForgotten):
            if self._membership.is_first():
                self._directory.gone(event.member.id, event.member.generation)
        else:
            self._participation.heard(event)

    def _raised(self, committed: Committed) -> None:
        self._link.raised(committed)
        self._following.look()

    def _identified(self, info: AuthorityInfo) -> None:
        if self.replica.authority_id not in ("", info.id):
            # What was read from disk, and isn't served yet; or what a peer gave provisionally.
            self._serving.clear()
            self._keeper.abandon()
        self.replica.authority_id = info.id
        self._keeper.identified(info.id)
        self._membership.follow(info.id)
        self._keys.authority_opened(info)
        self._histories.renew()

    # What the APIs ask

    @property
    def node_id(self) -> str:
        return self._identity.node_id

    @property
    def node_name(self) -> str:
        return self._identity.name

    def notices(self) -> Sequence[str]:
        return self._participation.notices()

    def settings_public(self) -> dict[str, Any]:
        return self.settings.public()

    def head(self) -> Head:
        return self._serving.head()

    def live(self) -> LiveVersion | None:
        return self._revisions.latest

    def members(self) -> list[dict[str, Any]]:
        return self._membership.members()

    def authority_status(self) -> AuthorityStatus:
        link, split = self._link, self._histories.split
        return AuthorityStatus(
            link.reachable,
            link.reason,
            link.info,
            "" if split is None else "refused" if split.refuses else "taken",
            "" if link.changed is None else link.changed[1],
        )

    def confirmation_age(self) -> float:
        return self._membership.confirmation_age()

    def replica_file_status(self) -> ReplicaFileStatus:
        return self._keeper.status()

    def replica_problem(self) -> str:
        return self._repairing.problem

    def audits(self) -> Mapping[str, Any]:
        return {
            "replica": self._replica_audit.status(),
            "workers": self._worker_audit.status(),
            "database": self._cluster_audit.status(),
        }

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        if not self._serving.loaded:
            reason = "" if self._documents is not None else self._link.reason
            return False, reason or "no configuration loaded yet"
        if not self._following.served:
            return False, self._link.reason or "not yet known whether the configuration is current"
        if not self._workers.listening:
            return False, "no worker listens yet"
        return True, "ready"

    def worker_pids(self) -> Sequence[int]:
        return self._workers.pids()

    def worker_counters(self) -> Mapping[str, int]:
        return self._workers.counters()

    def counters(self) -> Mapping[str, int]:
        return {
            **self._membership.counters(),
            **self._keeper.counters(),
            **self._repairing.counters(),
            **self.authority.counters(),
            **self._replica_audit.counters(),
            **self._worker_audit.counters(),
            **self._cluster_audit.counters,
            **self.caches.counters(),
            "worker_restarts": self._workers.restarts,
            "reloads": self._reloader.reloads,
            "events_dropped": self._bus.dropped,
        }

    @property
    def documents(self) -> Documents | None:
        return self._documents

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        if self._documents is not None:
            for mutation in mutations:
                raise off.unsupported(mutation)
        # Shielded: what is committed must be pushed, whether or not the client still listens.
        committed = await asyncio.shield(self._link.commit(mutations, write_id))
        if committed.changeset is not None:
            await self._workers.until(committed.head.version, COMMIT_WORKERS_SECONDS)
        return committed

    async def fence(self, wanted: NamedVersion, seconds: float) -> Fenced:
        return await self._fences.fence(wanted, seconds)

    async def join(self, addresses: Sequence[str]) -> None:
        try:
            await self._membership.join_names(addresses)
        except MembershipRefused as error:
            raise NotAvailable(str(error)) from error

    async def force_leave(self, node_id: str) -> None:
        removal = self._membership.force_leave(node_id)
        await self._removals.add(removal)
        log.notice("forced out", id=removal.id, generation=removal.generation)
        try:
            await self._directory.tell()
        except AuthorityUnavailable as error:
            log.warning(
                "the authority will be told who was forced out when it can be", reason=str(error)
            )

    def leave(self) -> None:
        if self._signals is not None:
            self._signals.terminate(self.shutdown_timeout())

    def subscribe(self) -> AsyncIterator[Event]:
        return self._bus.subscribe()


async def _outcome(life: "asyncio.Future[None]") -> None:
    """Raise what ended it: of several things that failed at once, the first."""
    try:
        await life
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _first_of(task: "asyncio.Future[Any]", signal: "asyncio.Future[Any]") -> None:
    await asyncio.wait({task, signal}, return_when=asyncio.FIRST_COMPLETED)
