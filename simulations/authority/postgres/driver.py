"""What stands in for asyncpg: ``connect`` and ``create_pool`` for the simulated servers.

It has what ``store.postgres`` uses of asyncpg, behaves alike, and raises the same exceptions;
anything else is an AttributeError or a TypeError, not a guess.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from simulations.authority.postgres.cluster import Cluster
from simulations.authority.postgres.server import Server
from simulations.authority.postgres.session import Answer, Session, Settings
from simulations.authority.postgres.syntax import Unmodelled
from simulations.authority.postgres.wire import Wire


class Driver:
    """asyncpg as one client machine sees it. ``client`` names the machine, for cuts."""

    def __init__(self, cluster: Cluster, client: str) -> None:
        self._cluster = cluster
        self.client = client
        self.connections: list[Connection] = []
        """Those that are open."""
        self.at_commit: Callable[[Connection], None] | None = None
        """What happens to the next connection that has just sent COMMIT."""

    async def connect(
        self,
        *,
        host: str,
        port: int,
        server_settings: dict[str, str],
        timeout: float,
        command_timeout: float,
        target_session_attrs: str = "any",
        **_: Any,
    ) -> "Connection":
        """A new connection. Raises as asyncpg does."""
        async with asyncio.timeout(timeout):
            server = await self._reach(host, port)
            connection = Connection(self, server, Settings.of(server_settings), command_timeout)
            if target_session_attrs == "read-write" and server.read_only:
                connection.terminate()
                raise asyncpg.TargetServerAttributeNotMatched(f"{server.name} is read-only")
            if target_session_attrs not in ("any", "read-write"):
                raise Unmodelled(f"target_session_attrs {target_session_attrs}")
            return connection

    async def create_pool(self, **options: Any) -> "Pool":
        return Pool(**options)

    async def _reach(self, host: str, port: int) -> Server:
        """Three trips there and back: TCP, the greeting, the settings."""
        server = self._cluster.at(host, port)
        for _ in range(6):
            await asyncio.sleep(self._cluster.delay())
            while self._cluster.is_cut(self.client, server):
                await asyncio.sleep(1.0)  # SYN again
        if not server.up:
            raise ConnectionRefusedError(111, "Connection refused")
        return server

    def new_wire(self, server: Server) -> Wire:
        return self._cluster.wire(self.client, server)

    # Faults

    def cut(self, *, deliver: bool, tell: bool = True) -> None:
        """The process or its machine ends: all its connections with it, see Connection.break_."""
        for connection in list(self.connections):
            connection.break_(deliver=deliver, tell_server=tell)


class Connection:
    """A connection as asyncpg's users see it."""

    preamble = ""
    identity: Any = None
    """Both of ``store.postgres_connection.Connection``."""

    def __init__(
        self, driver: Driver, server: Server, settings: Settings, command_timeout: float
    ) -> None:
        self._driver = driver
        self.server = server
        self.wire = driver.new_wire(server)
        self._timeout = command_timeout
        self._session: Session = server.open(settings, self._server_gone)
        self._session.notified = self._server_notifies
        self._closed = False
        self._out_of_step = False
        self._pending: asyncio.Future[Any] | None = None
        self._listeners: dict[str, list[Callable[..., None]]] = {}
        driver.connections.append(self)

    async def execute(self, sql: str, *, timeout: float | None = None) -> str:
        """Answers the last command's tag."""
        tag, _ = await self._ask(sql, ((),), timeout)
        return tag

    async def fetch(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        _, rows = await self._ask(sql, (parameters,))
        return rows

    async def fetchmany(
        self, sql: str, executions: Sequence[Sequence[Any]]
    ) -> list[tuple[Any, ...]]:
        """The rows of all executions, one after another; outside a transaction all are one."""
        _, rows = await self._ask(sql, tuple(tuple(parameters) for parameters in executions))
        return rows

    def is_closed(self) -> bool:
        return self._closed

    def terminate(self) -> None:
        """Reset the connection: what was sent still arrives."""
        self.break_(deliver=True)

    async def close(self, *, timeout: float | None = None) -> None:
        self.terminate()

    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None:
        """``callback`` gets (connection, process id, channel, payload), as asyncpg's."""
        self._listeners.setdefault(channel, []).append(callback)
        await self.execute(f'LISTEN "{channel}"')

    def break_(self, *, deliver: bool, tell_server: bool = True) -> None:
        """End it. ``deliver``: what is on its way to the server arrives first; ``tell_server``: the
        server hears of the end, otherwise the session stays until it is timed out."""
        if self._closed:
            return
        self._lost()
        self.wire.to_client.drop()
        if not deliver:
            self.wire.to_server.drop()
        if tell_server:
            self.wire.to_server.send(self._session.hang_up)

    async def _ask(
        self, sql: str, executions: Sequence[Sequence[Any]], timeout: float | None = None
    ) -> tuple[str, list[tuple[Any, ...]]]:
        if self._closed:
            raise asyncpg.InterfaceError("connection is closed")
        if self._out_of_step or self._pending is not None:
            raise asyncpg.InternalClientError("another operation is in progress")
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending = answered
        self.wire.to_server.send(self._session.receive, sql, executions, self._send_back)
        fate = self._driver.at_commit
        if sql == "COMMIT" and fate is not None:
            self._driver.at_commit = None
            fate(self)
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                answer = await answered
        except BaseException:
            self._out_of_step = True
            raise
        finally:
            self._pending = None
        if isinstance(answer, Exception):
            raise answer
        tag, rows = answer
        return tag, rows

    def _send_back(self, answer: Answer) -> None:
        self.wire.to_client.send(self._answered, answer)

    def _answered(self, answer: Answer) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(answer)

    def _server_gone(self) -> None:
        self.wire.to_client.send(self._lost)

    def _lost(self) -> None:
        """The connection is no more; whoever waits for an answer learns it now."""
        if self._closed:
            return
        self._closed = True
        self._driver.connections.remove(self)
        if self._pending is not None and not self._pending.done():
            error = asyncpg.ConnectionDoesNotExistError("closed in the middle of operation")
            self._pending.set_result(error)

    def _server_notifies(self, channel: str, payload: str) -> None:
        self.wire.to_client.send(self._notified, channel, payload)

    def _notified(self, channel: str, payload: str) -> None:
        if not self._closed:
            for callback in self._listeners.get(channel, ()):
                callback(self, self._session.number, channel, payload)


class Pool:
    """``asyncpg.Pool``, as far as it is used: the connection given back last is taken first."""

    def __init__(
        self,
        *,
        connect: Callable[..., Awaitable[Connection]],
        reset: Callable[..., Awaitable[None]],
        min_size: int,
        max_size: int,
        max_inactive_connection_lifetime: float,
    ) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(max_size)
        self._free: list[Connection] = []
        self._expired: list[Connection] = []
        self._all: list[Connection] = []
        self._closed = False

    async def acquire(self, *, timeout: float) -> Connection:
        async with asyncio.timeout(timeout):
            await self._places.acquire()
            try:
                while self._free:
                    connection = self._free.pop()
                    if self._is_good(connection):
                        return connection
                connection = await self._connect()
                self._all.append(connection)
                return connection
            except BaseException:
                self._places.release()
                raise

    async def release(self, connection: Connection) -> None:
        self._places.release()
        if self._closed or not self._is_good(connection):
            connection.terminate()
            self._all.remove(connection)
        else:
            self._free.append(connection)

    async def expire_connections(self) -> None:
        """None of those there are now is used again."""
        self._expired += [each for each in self._all if each not in self._expired]

    async def close(self) -> None:
        self._closed = True
        for connection in self._all:
            connection.terminate()

    def _is_good(self, connection: Connection) -> bool:
        if connection in self._expired:
            self._expired.remove(connection)
            connection.terminate()
        return not connection.is_closed()
