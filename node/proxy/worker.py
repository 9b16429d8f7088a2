"""The worker process of the data plane: ``python -m node.proxy.worker --channel-fd N``.

It inherits its listening sockets and one end of the channel to its agent, and does what the
channel says (node.channel). It obeys nothing else: signals that end a process group are ignored,
because the agent tells it when to drain. When the channel closes, the agent is gone: it stops
accepting at once, finishes its requests and exits within 5 s.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import uvloop

from gossip.invalidation import By, Invalidation
from node import logs
from node.channel import (
    Applied,
    Apply,
    Audit,
    ChannelError,
    Configure,
    Decoder,
    Differs,
    Doubted,
    Drain,
    Frame,
    Judged,
    Kept,
    Labelled,
    Level,
    Listen,
    Listening,
    Part,
    Peek,
    Peeked,
    Purge,
    Ready,
    Snapshot,
    Stats,
    Told,
    Version,
    encode,
)
from node.config.listen import HostPort
from node.proxy import limits
from node.proxy.downstream import Downstream
from node.proxy.error_log import ErrorLog
from node.proxy.gateway import Gateway
from node.proxy.settings import Listener, ProxySettings

IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)


GC_THRESHOLD = 20_000
"""Exchanges are freed by reference counts; the collector is for what breaks off half-way."""


class SettingsRefused(Exception):
    """Settings that this worker can't run with; the message names the setting."""


def read_settings(fields: Mapping[str, Any]) -> ProxySettings:
    """The settings of a Configure frame; unknown ones are a later agent's and ignored."""
    known = {name: fields[name] for name in ProxySettings._fields if name in fields}
    missing = set(ProxySettings._fields) - set(known)
    if missing:
        raise SettingsRefused(f"settings without {', '.join(sorted(missing))}")
    known["listeners"] = tuple(
        Listener(**each) if isinstance(each, Mapping) else Listener(*each)
        for each in known["listeners"]
    )
    settings = ProxySettings(**known)
    if settings.router_flavor not in ("traditional_compatible", "traditional"):
        raise SettingsRefused(
            f"router_flavor: '{settings.router_flavor}' is not served; use traditional_compatible"
        )
    return settings


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns how many clients fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS has no unlimited number of files
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        soft = 2**20
    # A request needs two descriptors: the client's and the upstream's.
    return max((soft - limits.DESCRIPTORS_RESERVED) // 2, 1)


class _Listening(NamedTuple):
    """A listener that accepts."""

    listener: Listener
    bound: socket.socket
    server: asyncio.Server
    context: ssl.SSLContext | None


class Worker(asyncio.Protocol):
    """One worker: the channel's protocol on one side, the listeners on the other."""

    def __init__(self, clients_max: int) -> None:
        self._clients_max = clients_max
        self._decoder = Decoder()
        self._log = ErrorLog(-1)
        self._gateway: Gateway | None = None
        self._transport: asyncio.Transport | None = None
        self._listening: list[_Listening] = []
        self._ready = False
        self._adopting = 0
        """Connections accepted while draining that aren't clients yet."""
        self._draining_until: float | None = None
        self._ticks = 0
        self._differs = False
        """Whether the agent knows that what is served isn't what it has sent."""
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self.loop.create_future()
        """The exit code, once the process has to end."""

    # Channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.ended.done():
            return
        try:
            for frame in self._decoder.feed(data):
                self._handle(frame)
        except (ChannelError, SettingsRefused, OSError, TypeError, ValueError) as error:
            self._log.error("the channel from the agent can't go on", reason=str(error))
            self._end(1)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if not self.ended.done():
            self._log.notice("the agent is gone: finishing requests")
            self._drain(limits.ORPHAN_SECONDS)

    def _send(self, frame: Frame) -> None:
        if self._transport is not None:
            self._transport.write(encode(frame))

    def _handle(self, frame: Frame) -> None:
        if isinstance(frame, Configure):
            self._configure(frame)
            return
        if isinstance(frame, Drain):
            self._drain(frame.seconds)
            return
        gateway = self._gateway
        if gateway is None:
            raise ChannelError(f"{type(frame).__name__} before Configure")
        if isinstance(frame, Snapshot):
            whole = gateway.load(frame)
            # What was loaded lives long: the collector need never look at it, neither while more
            # comes in nor afterwards. In a worker that serves, its pauses would be felt.
            gc.freeze()
            if whole:
                self._loaded(frame)
        elif isinstance(frame, Apply):
            if not self._ready:
                raise ChannelError("a changeset before the first snapshot")
            gateway.apply(frame.version, frame.changes)
            self._send(Applied(frame.version, time.time()))
        elif isinstance(frame, Part):
            if not self._ready:
                raise ChannelError("a changeset before the first snapshot")
            gateway.stage(frame, self._swapped)
        elif isinstance(frame, Audit):
            self._audit(gateway, frame)
        elif isinstance(frame, Kept):
            gateway.cold.kept(frame.fill, frame.version)
        elif isinstance(frame, Told):
            gateway.cold.told(frame)
        elif isinstance(frame, Purge):
            what = Invalidation(frame.cache, By(frame.by), frame.text)
            gateway.caches.purge(what, frame.version)
        elif isinstance(frame, Peek):
            self._send(Peeked(frame.number, gateway.caches.peek(frame.key)))
        elif isinstance(frame, Judged):
            gateway.health.judged(frame)
        elif isinstance(frame, Doubted):
            gateway.health.doubted(frame)
        elif isinstance(frame, Level):
            logs.set_level(frame.level)
        elif isinstance(frame, Listen):
            gateway.spawn(self._listen(gateway))
        else:
            raise ChannelError(f"{type(frame).__name__} is not for workers")

    def _configure(self, frame: Configure) -> None:
        if self._gateway is not None:
            raise ChannelError("Configure came twice")
        settings = read_settings(frame.settings)
        logs.configure(settings.log_level, settings.error_log)
        self._log = ErrorLog(settings.worker)
        self._gateway = Gateway(settings, self._clients_max, self._log, self._send)
        gc.collect()
        gc.set_threshold(GC_THRESHOLD)
        sys.unraisablehook = self._ignored
        self.loop.add_signal_handler(signal.SIGUSR1, self._reopen_logs)
        self._tick()

    def _ignored(self, what: "sys.UnraisableHookArgs") -> None:
        """An exception that nobody could take. Python itself raises one for a server name that
        isn't ASCII: that client gets an alert, and must not be able to fill the log."""
        if not isinstance(what.exc_value, UnicodeDecodeError):
            self._log.error("an error was ignored", error=repr(what.exc_value))

    def _reopen_logs(self) -> None:
        """The agent says that log files were renamed."""
        assert self._gateway is not None
        self._gateway.access_log.reopen()
        try:
            logs.reopen()
        except OSError as error:
            self._log.error("the log can't be opened anew", reason=str(error))

    def _audit(self, gateway: Gateway, frame: Audit) -> None:
        difference = "" if self._differs or not self._ready else gateway.difference(frame)
        if difference:
            self._differs = True
            self._send(Differs(difference))

    def _swapped(self, version: Version) -> None:
        self._send(Applied(version, time.time()))

    def _loaded(self, frame: Snapshot) -> None:
        self._differs = False
        self._send(Applied(frame.version, time.time()))
        if not self._ready:
            self._ready = True
            self._send(Ready(os.getpid()))

    # Listeners

    async def _listen(self, gateway: Gateway) -> None:
        try:
            for listener in gateway.settings.listeners:
                await self._open(gateway, listener)
            self._send(Listening())
        except (OSError, ssl.SSLError, ValueError) as error:
            where = HostPort(listener.host, listener.port)
            self._log.error("can't listen", at=str(where), reason=str(error))
            self._end(1)

    async def _open(self, gateway: Gateway, listener: Listener) -> None:
        context = gateway.server_tls.listener_context() if listener.ssl else None
        bound = socket.socket(fileno=listener.fd)
        server = await self.loop.create_server(
            lambda: Downstream(gateway, listener),
            sock=bound,
            backlog=listener.backlog,
            ssl=context,
            ssl_handshake_timeout=gateway.settings.tls_handshake_seconds if context else None,
        )
        self._listening.append(_Listening(listener, bound, server, context))
        if self._draining_until is not None:
            self._stop_listening(gateway)

    def _stop_listening(self, gateway: Gateway) -> None:
        """Close the listeners, but serve the connections that the kernel has accepted on them:
        closing would reset those, and their clients may have sent a request."""
        for listener, bound, server, context in self._listening:
            for _ in range(listener.backlog):
                try:
                    queued, _ = bound.accept()
                except OSError:
                    break
                self._adopting += 1
                gateway.spawn(self._adopt(gateway, listener, queued, context))
            server.close()
        self._listening.clear()

    async def _adopt(
        self,
        gateway: Gateway,
        listener: Listener,
        accepted: socket.socket,
        context: ssl.SSLContext | None,
    ) -> None:
        accepted.setblocking(False)
        try:
            await self.loop.connect_accepted_socket(
                lambda: Downstream(gateway, listener),
                accepted,
                ssl=context,
                ssl_handshake_timeout=gateway.settings.tls_handshake_seconds if context else None,
            )
        except OSError:
            accepted.close()  # its client has gone already
        finally:
            self._adopting -= 1

    # The end

    def _drain(self, seconds: float | None) -> None:
        if self._gateway is not None:
            self._stop_listening(self._gateway)
        until = float("inf") if seconds is None else self.loop.time() + seconds
        self._draining_until = min(until, self._draining_until or until)
        if self._gateway is None:
            self._end(0)
        else:
            self._gateway.drain()

    def _tick(self) -> None:
        """The one timer: deadlines, log batches, statistics, and the end of draining."""
        gateway = self._gateway
        assert gateway is not None
        gateway.sweep()
        self._ticks += 1
        if self._ticks % round(1 / limits.SWEEP_SECONDS) == 0:
            self._send_stats(gateway)
        if self._draining_until is not None and (
            not (gateway.clients or self._adopting) or self.loop.time() >= self._draining_until
        ):
            self._end(0)
        else:
            self.loop.call_later(limits.SWEEP_SECONDS, self._tick)

    def _send_stats(self, gateway: Gateway) -> None:
        self._send(Stats(gateway.counters()))
        changed = gateway.plugins.series.take_changed()
        if changed:
            self._send(Labelled(changed))

    def _end(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)

    def close(self) -> None:
        """Close whatever is open, last statistics included."""
        if self._gateway is not None:
            self._gateway.close()
            self._send_stats(self._gateway)


async def _serve(channel: socket.socket, clients_max: int) -> int:
    loop = asyncio.get_running_loop()
    _, worker = await loop.create_connection(lambda: Worker(clients_max), sock=channel)
    code = await worker.ended
    worker.close()
    await asyncio.sleep(0)  # one turn of the loop, for the last bytes to go out
    return code


def main(arguments: list[str]) -> int:
    """Run a worker until its agent ends it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m node.proxy.worker", description=__doc__)
    parser.add_argument("--channel-fd", type=int, required=True, metavar="N")
    descriptor: int = parser.parse_args(arguments).channel_fd
    for ignored in IGNORED_SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    try:
        channel = socket.socket(fileno=descriptor)
    except OSError as error:
        print(f"--channel-fd: {descriptor} is not a socket: {error}", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(channel, raise_descriptor_limit()))


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that waits in getaddrinfo would hold up an ordinary exit beyond the 5 s.
    os._exit(status)
