"""The clients: they write through any node, read through every proxy, and record what they see.

*Registers* are services whose path holds a value that counts up; a route leads to each. They are
written with If-Match, so that a write of unknown outcome can't land on top of a later one. The
*document* is two services with a route and a plugin each, written whole by ``POST /config``: what
serves a request to it tells its version in two places. The *ledger* is services that are created
and deleted, and counted at the end.
"""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import aiohttp

from simulations.real.client import Connection, NoAnswer
from simulations.real.history import NO_VALUE, Final, Journal, Kind, Operation, Outcome
from simulations.real.nodes import Node

REGISTERS = 6
LEDGERS = 2
DOCUMENT = "document"
SIDES = ("a", "b")
FENCE = "all; timeout=5"
FENCED_SHARE = 0.3
LEAST_SHARE = 0.1
DELETED_SHARE = 0.3
REQUESTS_OF_A_CONNECTION_MAX = 400
READ_PAUSE = 0.05
"""Seconds at most, uniform; a load, not a flood."""
WRITE_PAUSE = 1.0
WRITE_SECONDS = 20.0
REFUSED_PAUSE = 0.2
PAGE = 1_000


@dataclass(slots=True)
class Register:
    """What its writer knows of it."""

    name: str
    value: int = 0
    etag: str = ""
    """Of what the next write is made upon; empty when it has to be read first."""
    raced: bool = False
    told: tuple[int, str] = (NO_VALUE, "")
    """The last value that was acknowledged, and its revision."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a write ended."""

    outcome: Outcome
    status: int = 0
    revision: str = ""
    fence: str = ""
    etag: str = ""
    repeated: bool = False
    detail: str = ""


@dataclass(slots=True)
class Load:
    """All clients of a run. ``clock`` gives seconds since it began."""

    nodes: Sequence[Node]
    upstream: tuple[str, int]
    journal: Journal
    rng: random.Random
    clock: Callable[[], float]
    registers: list[Register] = field(default_factory=list)
    _connections: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _ledger: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0

    async def prepare(self, session: aiohttp.ClientSession) -> None:
        """Write what the clients then read and change. Raises aiohttp.ClientError."""
        host, port = self.upstream
        url = self.nodes[0].admin_url
        for number in range(REGISTERS):
            register = Register(f"register-{number}")
            path = f"/{register.name}/0"
            service = {"name": register.name, "host": host, "port": port, "path": path}
            async with session.post(f"{url}/services", json=service, raise_for_status=True) as made:
                register.etag = made.headers["ETag"]
            route = {"name": register.name, "paths": [f"/{register.name}"]}
            async with session.post(
                f"{url}/services/{register.name}/routes", json=route, raise_for_status=True
            ):
                self.registers.append(register)
            self._prepared("write", register.name)
        document = self._document(0)
        headers = {"Grapevine-Fence": FENCE}
        async with session.post(
            f"{url}/config", json=document, headers=headers, raise_for_status=True
        ):
            self._prepared("document", DOCUMENT)

    def _prepared(self, kind: Kind, key: str) -> None:
        self._record(Written("ok", 201), kind, "setup", self.nodes[0], 0.0, key, 0)

    def start(self, session: aiohttp.ClientSession) -> list[asyncio.Task[None]]:
        """Start all clients."""
        work = [self._write_register(session, register) for register in self.registers]
        work += [self._write_ledger(session, f"ledger{number}") for number in range(LEDGERS)]
        work.append(self._write_document(session))
        for node in self.nodes:
            work += [self._read(node, f"keeping-{node.name}-{one}", True) for one in range(2)]
            work.append(self._read(node, f"opening-{node.name}", False))
        self._writing.set()
        return [asyncio.create_task(one) for one in work]

    def stop(self) -> None:
        """Let each client finish what it does."""
        self._stop.set()
        self._writing.set()

    async def hold_writes(self) -> None:
        """Begin no more writes, and return once none is under way."""
        self._writing.clear()
        while self._under_way:
            await asyncio.sleep(READ_PAUSE)

    def go_on(self) -> None:
        """Write again."""
        self._writing.set()

    def forget(self) -> None:
        """Commits may have been lost: what was acknowledged before is no promise any more."""
        for register in self.registers:
            register.etag, register.raced, register.told = "", True, (NO_VALUE, "")

    async def final(self, session: aiohttp.ClientSession) -> Final:
        """What the authority holds and the nodes serve. Raises aiohttp.ClientError, NoAnswer."""
        names: list[str] = []
        values: dict[str, int] = {}
        path: str | None = f"/services?size={PAGE}"
        while path:
            async with session.get(
                f"{self.nodes[0].admin_url}{path}", raise_for_status=True
            ) as answer:
                if "Grapevine-Source" in answer.headers:
                    raise aiohttp.ClientError("the replica answered, not the authority")
                page = await answer.json()
            for service in page["data"]:
                names.append(service["name"])
                if service["name"].startswith(("register-", DOCUMENT)):
                    key = service["name"] if service["name"].startswith("register") else DOCUMENT
                    values[key] = _value(service["path"])
            path = page["next"]
        served = {node.name: await self._served(node) for node in self.nodes}
        return Final(names=tuple(names), values=values, served=served)

    async def _served(self, node: Node) -> dict[str, int]:
        """Every key as a node's proxy answers it. Raises NoAnswer."""
        values = {}
        for key in self._keys():
            connection = await Connection.open(node.host, node.ports.proxy)
            answer = await connection.get(f"/{key}", {})
            connection.close()
            values[key] = _value(answer.body["path"]) if answer.status == 200 else NO_VALUE
        return values

    def _keys(self) -> list[str]:
        registers = [register.name for register in self.registers]
        return [*registers, *(f"{DOCUMENT}/{side}" for side in SIDES)]

    # Reading

    async def _read(self, node: Node, client: str, keeping: bool) -> None:
        rng = self.rng
        keys = self._keys()
        connection: Connection | None = None
        number, opened, left = 0, 0.0, 0
        while not self._stop.is_set():
            key = rng.choice(keys)
            start = self.clock()
            least, headers = self._least(key)
            outcome: Outcome = "failed"
            status, value, detail = 0, NO_VALUE, ""
            parts: tuple[str, ...] = ()
            try:
                if connection is None:
                    number, opened = next(self._connections), start
                    left = rng.randint(1, REQUESTS_OF_A_CONNECTION_MAX) if keeping else 1
                    connection = await Connection.open(node.host, node.ports.proxy)
                answer = await connection.get(f"/{key}", headers)
                status, left = answer.status, left - 1 if answer.keeps else 0
                if status == 200:
                    outcome, value = "ok", _value(answer.body["path"])
                    parts = _parts(answer.body)
                else:
                    detail = str(answer.body)[:200]
            except NoAnswer as error:
                detail, left = str(error), 0
            if left == 0 and connection is not None:
                connection.close()
                connection = None
            self.journal.add(
                Operation(
                    kind="read", client=client, node=node.name, start=start, end=self.clock(),
                    key=key, value=value, outcome=outcome, status=status, connection=number,
                    opened=opened, minimum=least, parts=parts, detail=detail,
                )
            )  # fmt: skip
            await self._pause(READ_PAUSE if outcome == "ok" else REFUSED_PAUSE)
        if connection is not None:
            connection.close()

    def _least(self, key: str) -> tuple[int, dict[str, str]]:
        """Now and then, ask for what was acknowledged last, wherever that was."""
        for register in self.registers:
            if register.name == key and self.rng.random() < LEAST_SHARE:
                value, revision = register.told
                if revision:
                    return value, {"Grapevine-Min-Revision": revision}
        return NO_VALUE, {}

    # Writing

    async def _write_register(self, session: aiohttp.ClientSession, register: Register) -> None:
        while await self._may_write():
            node = self.rng.choice(self.nodes)
            url = f"{node.admin_url}/services/{register.name}"
            if not register.etag:
                register.etag = await _read_etag(session, url)
                if not register.etag:
                    await self._pause(REFUSED_PAUSE)
                    continue
            register.value += 1
            value, start = register.value, self.clock()
            written = await self._send(
                session, "PATCH", url, {"path": f"/{register.name}/{value}"},
                {"If-Match": register.etag, **self._fence()},
            )  # fmt: skip
            name, raced = register.name, register.raced
            self._record(written, "write", name, node, start, name, value, raced)
            if written.outcome == "ok":
                register.raced, register.told = False, (value, written.revision)
                register.etag = written.etag
            elif written.outcome == "unknown" or written.status == 412:
                register.raced = register.raced or written.outcome == "unknown"
                register.etag = ""
            await self._pause(WRITE_PAUSE if written.outcome == "ok" else REFUSED_PAUSE)

    async def _write_document(self, session: aiohttp.ClientSession) -> None:
        for value in itertools.count(1):
            headers = {"Idempotency-Key": str(uuid.UUID(int=self.rng.getrandbits(128)))}
            document = self._document(value)
            while await self._may_write():
                node = self.rng.choice(self.nodes)
                start = self.clock()
                url = f"{node.admin_url}/config"
                written = await self._send(
                    session, "POST", url, document, {**headers, **self._fence()}
                )
                self._record(written, "document", DOCUMENT, node, start, DOCUMENT, value)
                if written.outcome == "ok":
                    break
                await self._pause(REFUSED_PAUSE)
            if self._stop.is_set():
                return
            await self._pause(2 * WRITE_PAUSE)

    async def _write_ledger(self, session: aiohttp.ClientSession, client: str) -> None:
        while await self._may_write():
            node = self.rng.choice(self.nodes)
            name = f"ledger-{next(self._ledger)}"
            start = self.clock()
            body = {"name": name, "host": "ledger.test"}
            written = await self._send(session, "POST", f"{node.admin_url}/services", body, {})
            self._record(written, "create", client, node, start, name)
            await self._pause(WRITE_PAUSE)
            if written.outcome != "ok" or self.rng.random() > DELETED_SHARE:
                continue
            if await self._may_write():
                node = self.rng.choice(self.nodes)
                start = self.clock()
                url = f"{node.admin_url}/services/{name}"
                written = await self._send(session, "DELETE", url, None, self._fence())
                self._record(written, "delete", client, node, start, name)
                await self._pause(WRITE_PAUSE)

    async def _may_write(self) -> bool:
        """Wait until writes are wanted; false when the run ends."""
        await self._writing.wait()
        return not self._stop.is_set()

    def _fence(self) -> dict[str, str]:
        return {"Grapevine-Fence": FENCE} if self.rng.random() < FENCED_SHARE else {}

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
    ) -> Written:
        timeout = aiohttp.ClientTimeout(total=WRITE_SECONDS)
        self._under_way += 1
        try:
            async with session.request(
                method, url, json=body, headers=headers, timeout=timeout
            ) as answer:
                return _written(answer.status, answer.headers, await answer.text())
        except aiohttp.ClientConnectorError as error:
            # The client sends a DELETE again by itself: the first may have been done.
            outcome: Outcome = "unknown" if method == "DELETE" else "refused"
            return Written(outcome, detail=repr(error))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Written("unknown", detail=repr(error))
        finally:
            self._under_way -= 1

    def _record(
        self,
        written: Written,
        kind: Kind,
        client: str,
        node: Node,
        start: float,
        key: str,
        value: int = NO_VALUE,
        raced: bool = False,
    ) -> None:
        self.journal.add(
            Operation(
                kind=kind, client=client, node=node.name, start=start, end=self.clock(), key=key,
                value=value, outcome=written.outcome, status=written.status, raced=raced,
                revision="" if written.repeated else written.revision, fence=written.fence,
                detail=written.detail,
            )
        )  # fmt: skip

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(self.rng.random() * seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    def _document(self, value: int) -> dict[str, Any]:
        """Two services, each with a route and a plugin that tells the same as its path."""
        host, port = self.upstream
        told = stamp(value)
        services = [
            {
                "name": f"{DOCUMENT}-{side}", "host": host, "port": port,
                "path": f"/{DOCUMENT}/{side}/{told}",
                "routes": [
                    {
                        "name": f"{DOCUMENT}-{side}", "paths": [f"/{DOCUMENT}/{side}"],
                        "plugins": [
                            {
                                "name": "request-transformer",
                                "config": {"add": {"headers": [f"x-part-{side}:{told}"]}},
                            }
                        ],
                    }
                ],
            }
            for side in SIDES
        ]  # fmt: skip
        return {
            "_format_version": "3.0",
            "_info": {"select_tags": [DOCUMENT]},
            "services": services,
        }


def stamp(value: int) -> str:
    """A version of the document with a hash of it: nobody else's number looks like it."""
    return f"{value}-{sha256(str(value).encode()).hexdigest()[:8]}"


def _value(path: str) -> int:
    """The value at the end of an upstream's path."""
    return int(path.rpartition("/")[2].partition("-")[0])


def _parts(body: Mapping[str, str]) -> tuple[str, ...]:
    """What service and plugin tell of the document; nothing of a register."""
    if not body["path"].startswith(f"/{DOCUMENT}/"):
        return ()
    told = body["path"].rpartition("/")[2]
    side = body["path"].split("/")[2]
    return (told, body.get(f"x-part-{side}", "nothing"), stamp(_value(told)))


def _written(status: int, headers: Mapping[str, str], text: str) -> Written:
    """How a write ended, by its answer."""
    if status < 300:
        return Written(
            "ok",
            status,
            headers.get("Grapevine-Revision", ""),
            headers.get("Grapevine-Fence", ""),
            headers.get("ETag", ""),
            '"repeated":true' in text.replace(" ", ""),
        )
    forked = headers.get("Grapevine-Fence") == "forked"
    unknown = status == 500 or forked or '"outcome":"unknown"' in text.replace(" ", "")
    return Written("unknown" if unknown else "refused", status, detail=text[:300])


async def _read_etag(session: aiohttp.ClientSession, url: str) -> str:
    """The ETag of an entity; empty when there is no answer."""
    try:
        async with session.get(url) as answer:
            await answer.read()
            return answer.headers.get("ETag", "") if answer.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError, OSError, json.JSONDecodeError):
        return ""
