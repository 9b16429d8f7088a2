"""A node, from start to end: keeps the order of things.

Start: Admin and status listeners, workers, authority, gossip; the proxy listens once the replica
holds a confirmed state. Stop: leave, stop accepting, finish, exit.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from gossip.address import Address
from node import logs
from node.admin.app import create_admin_app, create_status_app
from node.admin.gui import create_gui_app
from node.agent.advertise import is_loopback
from node.agent.answers import Answers
from node.agent.certificate import gui_context, server_context
from node.agent.identity import StoredIdentity
from node.agent.limits import (
    AUTHORITY_FIRST_SECONDS,
    HANDSHAKE_SECONDS,
    LEAVE_SECONDS,
    SILENCE_SECONDS,
)
from node.agent.parts import Parts
from node.agent.proxying import log_path, lookup, proxy_settings
from node.agent.reload import Reloader, changed_fixed, with_reloadable
from node.agent.signals import Signals
from node.config.settings import Settings
from node.version import VERSION
from store.contents import PinnedState

log = logs.get("node")


class Node:
    """One running node."""

    def __init__(
        self,
        settings: Settings,
        stored: StoredIdentity,
        read_settings: Callable[[], Settings],
        reloaded: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._parts = Parts(settings, stored)
        self._reloader = Reloader(read_settings, self._take_settings, reloaded)
        self._signals: Signals | None = None
        self._answers = Answers(self._parts, self._reloader, self._be_told_to_leave)

    def _be_told_to_leave(self) -> None:
        if self._signals is not None:
            self._signals.terminate(self.shutdown_timeout())

    def cut(self, addresses: frozenset[Address]) -> None:
        """Play a partition: exchange no gossip with just these from now on."""
        self._parts.membership.cuts.set(addresses)

    async def run(self, signals: Signals) -> None:
        """Serve until a signal says stop. Raises what makes the node unable to go on."""
        parts = self._parts
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
            parts.workers.kill()
            await parts.membership.close()
            await parts.identity.finish()
            await parts.peers.finish()
            await parts.keys.finish()
            await parts.keeper.finish()
            await parts.abandoned.finish()
            await parts.servers.close()
            await parts.authority.close()
        log.notice("stopped")

    async def _live_on(self) -> None:
        """Start, then keep to the authority; never returns."""
        parts = self._parts
        settings = parts.settings
        tls = None
        if any(listener.ssl for listener in (*settings.admin_listen, *settings.status_listen)):
            tls = server_context(settings)
        await parts.servers.serve(
            create_admin_app(self._answers), settings.admin_listen, key="admin_listen", tls=tls
        )
        await parts.servers.serve(
            create_status_app(self._answers), settings.status_listen, key="status_listen", tls=tls
        )
        gui = settings.admin_gui_listen
        await parts.servers.serve(
            create_gui_app(settings, f"grapevine/{VERSION}"),
            gui,
            key="admin_gui_listen",
            tls=gui_context(settings) if any(listener.ssl for listener in gui) else None,
        )
        await parts.keeper.look()
        parts.histories.has_met = self._has_met_others
        attempt = asyncio.create_task(self._try_authority())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(parts.workers.start())
                tasks.create_task(self._restore(attempt))
                tasks.create_task(self._wait_for(attempt))
            await self._take_part(attempt)
        finally:
            attempt.cancel()

    async def _take_part(self, attempt: "asyncio.Task[bool]") -> None:
        """What the disk holds was read: go on with the others and the authority; never returns."""
        parts = self._parts
        parts.keeper.start(lambda: parts.following.served and parts.workers.listening)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.participation.run())
            tasks.create_task(parts.peers.keep_fresh())
            tasks.create_task(parts.replica_audit.run())
            tasks.create_task(parts.worker_audit.run())
            tasks.create_task(parts.health.run())
            if parts.documents is None:
                tasks.create_task(parts.histories.run())
                tasks.create_task(self._follow(attempt))
                tasks.create_task(parts.directory.run())
                tasks.create_task(parts.listening.run())
                tasks.create_task(parts.sweeping.run())
                tasks.create_task(parts.cluster_audit.run())
            tasks.create_task(
                parts.following.serve_in_silence(
                    lambda: parts.participation.has_asked,
                    self._knows_others,
                    self._look_at_document if parts.documents is not None else None,
                )
            )

    async def _try_authority(self) -> bool:
        parts = self._parts
        return parts.documents is None and await parts.link.open()

    async def _wait_for(self, attempt: "asyncio.Task[bool]") -> None:
        """Give the authority its time to answer, before the others are asked: by its word this
        node's generation is surely a new one. A database that is silent, as one is whose machine
        is gone, holds nobody up who has others to ask and a key to do so with."""
        parts = self._parts
        on_loopback = is_loopback(parts.settings.cluster_listen.host)
        can_ask = self._knows_others() and (on_loopback or parts.keys.current() is not None)
        await asyncio.wait({attempt}, timeout=AUTHORITY_FIRST_SECONDS if can_ask else None)

    async def _follow(self, attempt: "asyncio.Task[bool]") -> None:
        """Keep to the authority, once the first attempt to reach it has ended."""
        await attempt
        await self._parts.following.run()

    def _knows_others(self) -> bool:
        parts = self._parts
        return bool(parts.settings.cluster_seeds or parts.peers.known())

    def _has_met_others(self) -> bool:
        """Whether any other node runs, or those that are known have had the time to say so."""
        parts = self._parts
        if parts.membership.running_count() > 1 or not self._knows_others():
            return True
        asked_at = parts.participation.asked_at
        return asked_at is not None and time.monotonic() - asked_at >= SILENCE_SECONDS

    async def _restore(self, attempt: "asyncio.Task[bool]") -> None:
        """Begin with what this node's disk holds; ``attempt`` is the first to reach the authority.

        Workers need little of it. A node that is alone lets them serve that, before it reads a
        million credentials, which they look up in the file.
        """
        parts = self._parts

        async def on_hot(hot: PinnedState) -> None:
            if self._knows_others():
                return
            await asyncio.wait({attempt})
            if parts.link.reachable:
                return
            parts.serving.begin_with(hot)
            parts.workers.publish_state()
            parts.following.serve_alone()
            await parts.workers.until_ready()

        def expected_id() -> str:
            if parts.documents is not None:
                return parts.replica.authority_id
            return parts.link.info.id if parts.link.info is not None else parts.keys.authority_id

        authority_id = await parts.keeper.load(expected_id, on_hot)
        if authority_id and parts.link.info is None:
            parts.replica.authority_id = authority_id
            parts.membership.follow(authority_id)

    async def _leave(self, seconds: float | None) -> None:
        """Leave, stop accepting, finish: in that order."""
        parts = self._parts
        log.notice("leaving", timeout="none" if seconds is None else seconds)
        self._answers.draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(parts.membership.leave(), parts.directory.leave())
        parts.sockets.take_no_more()
        await asyncio.sleep(HANDSHAKE_SECONDS)
        draining = asyncio.create_task(parts.workers.drain(seconds))
        await asyncio.sleep(0)  # the workers have been told; what is ours of the sockets can go
        parts.sockets.keep_only((), 0)
        await draining

    def shutdown_timeout(self) -> float:
        """How long TERM and INT let requests finish, in seconds."""
        return self._parts.settings.shutdown_timeout

    def reload(self) -> None:
        """SIGHUP: read the configuration again and put new workers on the same sockets."""
        self._reloader.request()

    async def _take_settings(self, wanted: Settings) -> None:
        parts = self._parts
        fixed = changed_fixed(parts.settings, wanted)
        if fixed:
            log.warning("these keys change with a restart only", keys=", ".join(fixed))
        settings = with_reloadable(parts.settings, wanted)
        sockets = parts.sockets.bind(settings.proxy_listen, settings.nginx_worker_processes)
        logs.configure(settings.log_level, log_path(settings, settings.proxy_error_log))
        parts.log_levels.reconfigured(settings.log_level)
        await parts.workers.replace(proxy_settings(settings), sockets, settings.shutdown_timeout)
        parts.health.look_up_by(lookup(settings))
        parts.sockets.keep_only(settings.proxy_listen, settings.nginx_worker_processes)
        parts.settings = settings
        await self._look_at_document()
        log.notice("reloaded", conf=settings.source)

    async def _look_at_document(self) -> None:
        parts = self._parts
        if parts.documents is not None:
            await parts.documents.look_at(parts.settings.declarative_config)

    def reopen_logs(self) -> None:
        """SIGUSR1: a log rotation has renamed the files."""
        logs.reopen()
        self._parts.workers.reopen_logs()


async def _outcome(life: "asyncio.Future[None]") -> None:
    """Raise what ended it: of several things that failed at once, the first."""
    try:
        await life
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _first_of(task: "asyncio.Future[Any]", signal: "asyncio.Future[Any]") -> None:
    await asyncio.wait({task, signal}, return_when=asyncio.FIRST_COMPLETED)
