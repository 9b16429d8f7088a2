"""The parts of a node, put together: who is told what by whom. They are started and ended elsewhere
(``node.agent.node``)."""

import asyncio
import random
import socket

from node.admin.node_view import (
    HistoryView,
)
from node.agent.abandoned import Abandoned
from node.agent.authorities import make_authority
from node.agent.authority_desk import AuthorityDesk, NoDesk
from node.agent.authority_link import AuthorityLink
from node.agent.caches import Caches
from node.agent.cluster_audit import ClusterAudit
from node.agent.commits import Commits
from node.agent.directory import Directory
from node.agent.documents import Documents
from node.agent.events import EventBus
from node.agent.fences import Fences
from node.agent.following import Following
from node.agent.health.targets import TargetHealth
from node.agent.histories import Histories
from node.agent.http_servers import HttpServers
from node.agent.identity import OwnIdentity, StoredIdentity
from node.agent.key_changes import KeyChanges
from node.agent.keys import Keys
from node.agent.limits import (
    AUTHORITY_PATIENCE_SECONDS,
)
from node.agent.listening import Listening
from node.agent.log_levels import LogLevels
from node.agent.membership import Membership
from node.agent.participation import Participation
from node.agent.peers import Peers
from node.agent.proxying import client_certificates, lookup, proxy_settings, replica_path
from node.agent.removals import Removals
from node.agent.repairing import Repairing
from node.agent.replica_audit import ReplicaAudit
from node.agent.replica_keeper import ReplicaKeeper
from node.agent.revisions import RevisionEvents
from node.agent.serving import Serving
from node.agent.sockets import SlotSockets
from node.agent.sweeping import Sweeping
from node.agent.telling import Telling
from node.agent.worker_audit import WorkerAudit
from node.agent.workers import Workers
from node.config.keyring_file import configured_keyring
from node.config.settings import Settings
from node.metrics.measures import Measures
from store import off
from store.poll import Poll
from store.replica import Replica


class Parts:
    """All of them, for as long as the process lives."""

    def __init__(self, settings: Settings, stored: StoredIdentity) -> None:
        self.settings = settings
        """Those of now: some change with a reload."""
        telling = Telling(self)
        self.hostname = socket.gethostname()
        self.replica = Replica("")
        self.authority = make_authority(
            settings, lambda: self.serving.version, lambda: self.link.confirmed_head()
        )
        self.identity = OwnIdentity(
            settings.prefix, stored, settings.node_name or "", self.hostname
        )
        self.rng = random.Random()
        self.measures = Measures()
        self.bus = EventBus()
        self.revisions = RevisionEvents(self.bus.publish, lambda: self.bus.subscribers > 0)
        self.serving = Serving(self.replica, telling.applied, telling.loaded)
        self.serving.on_mended = telling.mended
        self.sockets = SlotSockets()
        self.workers = Workers(
            proxy_settings(settings),
            self.sockets.bind(settings.proxy_listen, settings.nginx_worker_processes),
            self.serving,
            lambda: self.keeper.kept(),
            telling.live,
        )
        self.serving.on_arriving = self.workers.feed_ahead
        self.keeper = ReplicaKeeper(replica_path(settings), self.serving, self.workers.vouch)
        self.servers = HttpServers()
        self.membership = Membership(settings, self.identity, self.serving, telling.heard)
        self.caches = Caches(self.workers, self.membership.purge, lambda: self.serving.version)
        self.log_levels = LogLevels(
            settings.log_level,
            telling.log_from,
            self.membership.set_register,
            lambda seconds, what: asyncio.get_running_loop().call_later(seconds, what),
        )
        self.health = TargetHealth(
            lambda: self.identity.node_id,
            self.membership.proxies,
            self.workers.say,
            self.membership.tell_observation,
            self.membership.set_register,
            self.serving.for_workers,
            self.rng,
            lookup(settings),
            certificates=client_certificates(settings, self.serving.for_workers),
        )
        self.workers.on_ready = lambda worker: self.health.worker_ready(worker.send)
        self.workers.on_observed = lambda worker, told: self.health.observed(worker.send, told)
        self.histories = Histories(
            self.authority,
            lambda: self.identity.node_id,
            lambda: self.link.confirmed_head(),
            self.replica,
            lambda: self.link.still_ours(),
            self.membership.ask_history,
            self.membership.answer_history,
            self.membership.running_count,
            telling.raised,
            lambda reason: self.link.failed(reason),
            self.rng,
        )
        self.fences = Fences(self.membership, self.serving, self.workers)
        self.link = AuthorityLink(
            self.authority,
            self.serving,
            self.histories,
            self.membership,
            lambda: self.identity.node_id,
            telling.identified,
            telling.lost_authority,
            lambda: self.replica.authority_id if self.following.served else "",
            self.rng,
            settings.pg_timeout / 1000 + AUTHORITY_PATIENCE_SECONDS,
        )
        self.abandoned = Abandoned(settings.prefix)
        self.serving.on_abandoned = self.abandoned.keep
        self.serving.confirms = lambda version: self.link.confirms(version)
        self.keys = Keys(
            settings.prefix,
            configured_keyring(settings.cluster_keyring_file, settings.cluster_encrypt_key),
            self.link if settings.database != "off" else None,
            self.membership,
        )
        self.membership.authority_id = self.keys.authority_id
        self.key_changes = KeyChanges(self.keys, self.membership)
        self.peers = Peers(settings.prefix, self.membership.running)
        self.removals = Removals(settings.prefix, self.authority)
        self.directory = Directory(
            self.authority, self.membership, self.removals, lambda: self.link.connection
        )
        self.participation = Participation(
            self.authority,
            self.identity,
            self.membership,
            self.keys,
            self.peers,
            self.removals,
            lambda: self.link.reachable,
        )
        self.documents: Documents | None = None
        if settings.database == "off":
            own_id = off.authority_id(settings.cluster_name)
            self.replica.authority_id = self.membership.authority_id = own_id
            self.documents = Documents(
                settings.prefix, self.serving, self.membership, self.workers.until
            )
        self.following = Following(
            self.link,
            self.serving,
            self.membership,
            Poll(
                settings.db_update_frequency,
                self.rng,
                patience=lambda: self.listening.poll_patience(settings.db_update_frequency),
            ),
            self.rng,
            self.workers.listen,
        )
        self.repairing = Repairing(self.link, self.serving, self.membership, self.following.look)
        self.link.from_peers = self.repairing.from_peers
        self.link.on_disk = lambda: self.keeper.found(
            self.link.info.id if self.link.info is not None else ""
        )
        self.following.on_stuck = self.repairing.cant_follow
        self.serving.on_broken = self.repairing.damaged
        self.history: HistoryView = NoDesk()
        if settings.database != "off":
            self.history = AuthorityDesk(self.link, self.histories, self.abandoned, self.following)
        self.listening = Listening(
            lambda: self.identity.node_id, self.link, self.membership, self.following.committed
        )
        self.membership.readers = self.listening.listeners
        self.commits = Commits(self.link, self.workers, off=self.documents is not None)
        self.sweeping = Sweeping(
            self.replica,
            lambda: self.link.reachable and self.membership.is_first(),
            lambda mutations: self.commits.commit(mutations, None),
        )
        self.cluster_audit = ClusterAudit(
            self.link,
            self.serving,
            lambda: self.link.reachable and self.membership.is_first(),
            settings.cluster_audit_interval,
        )
        self.replica_audit = ReplicaAudit(self.serving, telling.replace_replica)
        self.worker_audit = WorkerAudit(self.serving, self.workers)
