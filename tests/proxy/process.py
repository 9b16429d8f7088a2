"""The real worker process under test, driven over its channel."""

import asyncio
import json
import resource
import socket
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from node.channel import (
    Applied,
    Apply,
    Change,
    Configure,
    Decoder,
    Differs,
    Drain,
    Frame,
    Labelled,
    Listen,
    Listening,
    Peeked,
    Ready,
    Snapshot,
    Stats,
    Version,
    encode,
)
from node.proxy.settings import Listener, ProxySettings
from tests.proxy.nursery import ROOT, Forked

DEADLINE_SECONDS = 20.0


def service(url: str, service_id: str | None = None, **fields: Any) -> Change:
    """A change that stores a service with a ``http://host:port/path`` URL."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.rpartition(":")
    entity = {
        "id": service_id or str(uuid.uuid4()),
        "protocol": scheme,
        "host": host.strip("[]"),
        "port": int(port),
        "path": slash + path or None,
        **fields,
    }
    return ("services", entity["id"], json.dumps(entity))


def route(to: Change, route_id: str | None = None, **fields: Any) -> Change:
    """A change that stores a route to a service."""
    entity = {"id": route_id or str(uuid.uuid4()), "service": {"id": to[1]}, **fields}
    return ("routes", entity["id"], json.dumps(entity))


def everything(
    url: str, *, request_buffering: bool = True, response_buffering: bool = True, **fields: Any
) -> tuple[Change, ...]:
    """A service at a URL, and a route that leads every request to it."""
    target = service(url, **fields)
    buffering: dict[str, Any] = {
        "request_buffering": request_buffering,
        "response_buffering": response_buffering,
    }
    return (target, route(target, paths=["/"], **buffering))


class WorkerProcess:
    """One worker, and the agent's end of its channel."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET) -> None:
        self._channel, self._workers_end = socket.socketpair()
        self.host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.bind((self.host, 0))
        self.port: int = self.listener.getsockname()[1]
        self.version: Version = (1, 0, 0)
        self.ready = asyncio.Event()
        self.listening = asyncio.Event()
        self.applied: list[Applied] = []
        self.differs: list[str] = []
        self.stats: dict[str, int] = {}
        self.labelled: dict[str, int] = {}
        self.log = ""
        """What it has logged, once it was stopped."""
        self.peeked: list[Peeked] = []
        self._news = asyncio.Condition()
        self._decoder = Decoder()

    async def start(
        self, descriptors: int | None = None, *, fresh: bool = False, **settings: Any
    ) -> None:
        """Start the process, with a hard limit of open files if one is given, and configure it.

        A fresh one is started as the agent starts it, and not forked.
        """
        arguments = ["--channel-fd", str(self._workers_end.fileno())]
        inherited = [self._workers_end.fileno(), self.listener.fileno()]
        if "counters_fd" in settings:
            inherited.append(settings["counters_fd"])
        self.process: Process | Forked
        if fresh:
            self.process = await _started(arguments, inherited, descriptors)
        else:
            self.process = Forked()
            await self.process.start(arguments, inherited, descriptors)
        self._workers_end.close()
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        self._listening = asyncio.create_task(self._read())
        ssl = bool(settings.get("ssl_cert"))
        listener = Listener(self.listener.fileno(), self.host, self.port, ssl, 511)
        defaults = ProxySettings(
            worker=0,
            listeners=(listener,),
            version="0.1.0",
            trusted_ips=(),
            real_ip_header="X-Real-IP",
            real_ip_recursive=False,
            headers=("server_tokens", "latency_tokens", "x-kong-request-id"),
            access_log="off",
            error_log="/dev/stderr",
            log_level="notice",
            client_max_body_size=0,
            upstream_keepalive_pool_size=512,
            upstream_keepalive_max_requests=10_000,
            upstream_keepalive_idle_timeout=60.0,
            ssl_cert="",
            ssl_cert_key="",
            router_flavor="traditional_compatible",
        )
        self.send(Configure(defaults._replace(**settings)._asdict()))

    async def serve(self, *changes: Change) -> None:
        """Load a first snapshot, and listen."""
        self.version = (1, 0, 1)
        self.send(Snapshot(self.version, changes, last=True, first=True))
        await self.until(self.ready.is_set)
        self.send(Listen())
        await self.until_listening()

    async def until_listening(self) -> None:
        """Wait until it says so: from then on no connection is refused."""
        await self.until(self.listening.is_set)

    async def apply(self, *changes: Change) -> Version:
        """Apply one changeset, and wait until it is served."""
        epoch, tag, revision = self.version
        self.version = (epoch, tag, revision + 1)
        self.send(Apply(self.version, changes))
        await self.until(lambda: any(each.version == self.version for each in self.applied))
        return self.version

    def send(self, frame: Frame) -> None:
        self._writer.write(encode(frame))

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    def vanish(self) -> None:
        """Close the channel, as the death of the agent does."""
        self._writer.close()
        self.listener.close()

    async def until(self, condition: Any) -> None:
        """Wait for something that a frame from the worker makes true."""
        async with asyncio.timeout(DEADLINE_SECONDS), self._news:
            await self._news.wait_for(condition)

    async def counted(self, name: str, at_least: int = 1) -> None:
        """Wait until a statistic has reached a value."""
        await self.until(lambda: self.stats.get(name, 0) >= at_least)

    async def exited(self) -> tuple[int, str]:
        """The exit code and the error log."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()

    async def _read(self) -> None:
        while data := await self._reader.read(65536):
            async with self._news:
                for frame in self._decoder.feed(data):
                    if isinstance(frame, Ready):
                        self.ready.set()
                    elif isinstance(frame, Listening):
                        self.listening.set()
                    elif isinstance(frame, Applied):
                        self.applied.append(frame)
                    elif isinstance(frame, Differs):
                        self.differs.append(frame.what)
                    elif isinstance(frame, Peeked):
                        self.peeked.append(frame)
                    elif isinstance(frame, Stats):
                        self.stats = frame.counters
                    elif isinstance(frame, Labelled):
                        self.labelled |= frame.counters
                self._news.notify_all()

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.send(Drain(0.0))
            try:
                _, self.log = await self.exited()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
                raise
        self._writer.close()
        self._listening.cancel()
        self.listener.close()


async def _started(
    arguments: Sequence[str], descriptors: Sequence[int], files_max: int | None
) -> Process:
    def limit() -> None:
        if files_max is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))

    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "node.proxy.worker",
        *arguments,
        pass_fds=descriptors,
        cwd=ROOT,
        preexec_fn=limit,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(
    changes: Sequence[Change] = (),
    family: socket.AddressFamily = socket.AF_INET,
    **settings: Any,
) -> AsyncIterator[WorkerProcess]:
    """A worker that serves ``changes``."""
    worker = WorkerProcess(family)
    await worker.start(**settings)
    try:
        await worker.serve(*changes)
        yield worker
    finally:
        await worker.stop()
