"""What all connections of a worker share."""

import asyncio
import gc
import itertools
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.caches import ENTITIES
from node.channel import Ask, Audit, Change, Observed, Part, Snapshot, Version
from node.plugins import registry
from node.plugins.counters import SharedCounters
from node.plugins.holding import Plugins
from node.plugins.making import Maker
from node.plugins.worker import PluginWorker
from node.proxy import limits
from node.proxy.access_log import AccessLog, Entry
from node.proxy.annotations import Annotations
from node.proxy.balancing.balancers import Balancers
from node.proxy.buffering import Budget
from node.proxy.caches import Caches
from node.proxy.cold import ColdLookups
from node.proxy.connector import Connector
from node.proxy.deadlines import Wheel
from node.proxy.dispatch import Decision, decide, renew
from node.proxy.error_log import ErrorLog
from node.proxy.forwarded import Peer, Trust
from node.proxy.heads import RequestHead
from node.proxy.health.health import WorkerHealth
from node.proxy.lookup import Lookup
from node.proxy.resolver import Resolver
from node.proxy.revision import Waiters
from node.proxy.settings import ProxySettings
from node.proxy.staging import Staging
from node.proxy.stats import Stats
from node.proxy.table import Table
from node.proxy.tls import ServerTls
from node.proxy.upstream import Pool
from node.proxy.upstream_tls import UpstreamTls

if TYPE_CHECKING:
    from node.proxy.downstream import Downstream


_LAST_DIGITS = tuple(b"%02x" % number for number in range(256))


def _request_ids() -> Iterator[bytes]:
    """Random digits, then a count; an id costs one concatenation."""
    prefix, start = os.urandom(8).hex().encode(), int.from_bytes(os.urandom(4))
    begun = (b"%b%014x" % (prefix, number) for number in itertools.count(start))
    return itertools.chain.from_iterable(map(one.__add__, _LAST_DIGITS) for one in begun)


class Gateway:
    """The state of one worker: its configuration, its routing table, its connections."""

    def __init__(
        self,
        settings: ProxySettings,
        clients_max: int,
        log: ErrorLog,
        ask: Callable[[Ask | Observed], None],
    ) -> None:
        self._tell = ask
        self.settings = settings
        self.clients_max = clients_max
        self.log = log
        self.loop = asyncio.get_running_loop()
        self.stats = Stats()
        self.buffers = Budget(limits.BUFFERED_BYTES_MAX, self.stats)
        self.wheel = Wheel(limits.SWEEP_SECONDS)
        self.trust = Trust(
            settings.trusted_ips, settings.real_ip_header, settings.real_ip_recursive
        )
        self.annotations = Annotations(settings.headers, settings.version)
        self.pool = Pool(
            settings.upstream_keepalive_pool_size,
            settings.upstream_keepalive_max_requests,
            settings.upstream_keepalive_idle_timeout,
            self.wheel,
            self.stats,
        )
        self.server_tls = ServerTls(settings, lambda: self.table, self._refused)
        self.upstream_tls = UpstreamTls(settings, lambda: self.table, self.pool.close_ended)
        self.connector = Connector(self.pool, self.stats)
        self.access_log = AccessLog(
            settings.access_log, self.stats, self.loop.time, form=settings.access_log_format
        )
        self.waiters = Waiters(self.wheel)
        self.health = WorkerHealth(self.loop.time, self._tell_results_soon)
        lookup = Lookup(
            settings.dns_resolver,
            settings.dns_order,
            Path(settings.dns_hostsfile),
            settings.dns_valid_ttl,
        )
        self.resolver = Resolver(self.loop.time, lookup, self._name_changed)
        self.balancers = Balancers(self.resolver, self.health, random.Random())
        self.cold = ColdLookups(Path(settings.replica_file), ask, time.time)
        self.plugins = PluginWorker(
            log, self.cold, SharedCounters(settings.counters_fd, settings.worker), self.spawn
        )
        classes, problems = registry.classes(settings.plugins)
        for problem in problems:
            log.error("a plugin can't be loaded", reason=problem)
        self._maker = Maker(classes, self.plugins)
        self.table = self._new_table()
        self.table_plugins = self._served_plugins
        """Gives those of the state that is served."""
        self.caches = Caches()
        self.caches.register(ENTITIES, self.cold.forget, self.cold.peek)
        self.clients: set[Downstream] = set()
        self.draining = False
        self._loading: Table | None = None
        self._staging: Staging | None = None
        self._stepping = False
        """Whether ``_step`` is going to be called."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.new_request_id = _request_ids().__next__
        """32 hexadecimal digits, unique among all workers: random ones, then a count."""

    def decide(self, head: RequestHead, peer: Peer) -> Decision:
        """What is done with a request."""
        return decide(head, peer, self.table, self.trust, self.annotations.product)

    def renew(self, decision: Decision, peer: Peer) -> Decision:
        """What is done with one that was decided about under another edition of the table."""
        return renew(decision, peer, self.table, self.trust, self.annotations.product)

    def answered(self, entry: Entry, started: float) -> None:
        """Count and log a request that was answered, which had ``started`` by the loop's time."""
        _, _, status, body_bytes, _, now = entry
        stats = self.stats
        stats.count_response(status)
        stats.bytes_sent += body_bytes
        if status >= 200:  # a pipe may live for days
            stats.latency.observe(now - started)
        if self.access_log.enabled:
            self.access_log.add(entry)

    def _served_plugins(self) -> Plugins:
        return self.table.plugins

    def _new_table(self) -> Table:
        settings = self.settings
        return Table(self._refused, self._maker, settings.vault_env_prefix, settings.router_flavor)

    def load(self, frame: Snapshot) -> bool:
        """Take a slice of a snapshot; True when it was the last and the whole is now served."""
        if self._loading is None or frame.first:
            self._loading = self._new_table()
        self._staging = None
        self._loading.apply(frame.version, frame.changes)
        self.health.load(frame.changes, first=frame.first, last=frame.last)
        if not frame.last:
            return False
        replaced, self.table, self._loading = self.table, self._loading, None
        self._dismantle(replaced.dismantle())
        self._serves_anew(frame.version)
        return True

    def apply(self, version: Version, changes: tuple[Change, ...]) -> None:
        """Apply a changeset: whole, before any other request is looked at."""
        if self._staging is not None:
            raise ValueError(f"{version} amid the parts of {self._staging.version}")
        self.table.apply(version, changes)
        self.balancers.follow(self.table, whole=False)
        self.health.apply(changes)
        self._certificates_changed(changes)
        self.cold.apply(version, changes)
        self.caches.reached(version)
        self.waiters.reached(version)

    def _certificates_changed(self, changes: tuple[Change, ...]) -> None:
        ids = [id for kind, id, _ in changes if kind in ("certificates", "ca_certificates")]
        if any(kind == self.table.vaults.kind for kind, _, _ in changes):
            ids += self.table.certificates.referring()
        if ids:
            self.server_tls.changed(ids)
            self.upstream_tls.changed(ids)

    def stage(self, frame: Part, swapped: Callable[[Version], None]) -> None:
        """Take a slice of a large changeset; ``swapped(version)`` is called once it is served."""
        if frame.first:
            self._staging = Staging(frame, self.table, self._new_table)
        staging = self._staging
        if staging is None or staging.version != frame.version:
            raise ValueError(f"a part of {frame.version} that begins nothing")
        staging.add(frame)
        if not self._stepping:
            self._stepping = True
            self._step(swapped)

    def _step(self, swapped: Callable[[Version], None]) -> None:
        """Go on with what is staged, requests in between."""
        staging = self._staging
        self._stepping = staging is not None and staging.step()
        gc.freeze()  # as what is loaded: it lives long
        if self._stepping:
            self.loop.call_soon(self._step, swapped)
        elif staging is not None and staging.outcome is not None:
            self._staging = None
            replaced, self.table = self.table, staging.outcome
            if replaced is not self.table:
                self._dismantle(replaced.dismantle())
            # What is cold in it wasn't sent: the file has it, or the agent.
            self._serves_anew(staging.version)
            self._settle(staging, swapped)

    def _settle(self, staging: Staging, swapped: Callable[[Version], None]) -> None:
        """Have what is known of targets follow the table, some at a time."""
        if staging.targets:
            self.health.apply(staging.targets.popleft())
            self.loop.call_soon(self._settle, staging, swapped)
        else:
            swapped(staging.version)

    def _serves_anew(self, version: Version) -> None:
        """Something was swapped in that has no cold changes with it."""
        self.balancers.follow(self.table, whole=True)
        self.server_tls.loaded()
        self.upstream_tls.loaded()
        self.cold.loaded(version)
        self.caches.reached(version)
        self.waiters.reached(version)

    def difference(self, frame: Audit) -> str:
        """How what is served differs from what the agent has sent; empty when it doesn't."""
        return self.table.difference(frame.rows, frame.counts)

    def _tell_results_soon(self) -> None:
        self.loop.call_later(limits.RESULTS_TOLD_SECONDS, self._tell_results)

    def _tell_results(self) -> None:
        """Tell the agent what came of requests to targets, some at a time."""
        told = self.health.take()
        if told is not None:
            self._tell(told)
            if len(told.results) == limits.RESULTS_TOLD_MAX:
                self._tell_results_soon()

    def _dismantle(self, steps: Iterator[None]) -> None:
        """Free a replaced table step by step, requests in between."""
        for _ in steps:
            self.loop.call_soon(self._dismantle, steps)
            return

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what has to wait for something other than the connections."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("work beside the requests failed", error=repr(error))

    def counters(self) -> dict[str, int]:
        """The worker's statistics, with the states of its client connections."""
        counters = self.stats.snapshot()
        counters |= self.cold.counters() | self.caches.counters() | self.resolver.counters()
        counters["rate_limits_evicted"] = self.plugins.counters.evictions
        counters["target_results_dropped"] = self.health.dropped
        counters["connections_handled"] = (
            counters["connections_accepted"] - counters["clients_refused"]
        )
        for state in ("reading", "waiting", "writing"):
            counters[f"connections_{state}"] = 0
        for client in self.clients:
            counters[f"connections_{client.state}"] += 1
        return counters

    def sweep(self) -> None:
        """Called at every tick of the coarse timer."""
        now = self.loop.time()
        self.wheel.advance(now)
        self.access_log.tick(now)
        self.resolver.tick(now)

    def drain(self) -> None:
        """Close idle client connections; the others close after the answer that they wait for."""
        self.draining = True
        for client in list(self.clients):
            client.drain()

    def close(self) -> None:
        """Drop whatever is left."""
        for client in list(self.clients):
            client.abort()
        self.pool.close()
        self.resolver.close()
        self.cold.close()
        self.plugins.counters.close()
        for task in self._tasks:
            task.cancel()
        self.access_log.close()

    def _name_changed(self, name: str) -> None:
        self.balancers.name_changed(name)

    def _refused(self, reason: str) -> None:
        self.stats.entities_refused += 1
        self.log.warning("an entity can't be used", reason=reason)

    @staticmethod
    def wall_clock() -> float:
        """Unix seconds."""
        return time.time()
