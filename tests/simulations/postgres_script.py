"""Statements of several sessions in one order, done by a real Postgres or by the model of it.

After each step whoever isn't through waits for somebody, in both. The time-out after which Postgres
looks for a circle of waits has then passed, so the last to join one is the victim, in both.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

from simulations.authority.postgres.bootstrap import bootstrapped
from simulations.authority.postgres.server import Server
from simulations.authority.postgres.session import Answer, Session, Settings
from simulations.authority.postgres.tables import Database
from simulations.clock import Clock
from store.epochs import MOVE
from store.plan import POSTGRES
from store.postgres_address import PostgresAddress
from store.read import READ_HEAD_BESIDE

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
TABLES = ("entity", "entity_unique", "entity_reference", "head", "log", "node")
_DEADLOCK_SECONDS = 0.03
_SETTLE_SECONDS = 20.0


class Step(NamedTuple):
    """One statement of one session."""

    session: int
    sql: str
    parameters: tuple[Any, ...] = ()


Outcome = tuple[int, str]
"""(session, what it was answered)"""


def shown(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as both say them; an order that SQL leaves open says nothing."""
    return repr(sorted(tuple(row) for row in rows))


@dataclass
class Model:
    """The script on the model."""

    sessions: int
    seed: int
    database: Database = field(init=False)
    _clock: Clock = field(default_factory=Clock)
    _waiting: dict[int, list[Answer]] = field(default_factory=dict)
    _sessions: list[Session] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self.database = bootstrapped(random.Random(1))
        server = Server(self._clock, rng, "db1", self.database)
        settings = Settings.of({"search_path": '"grapevine"'})
        for _ in range(self.sessions):
            session = server.open(settings, lambda: None)
            session.receive(BEGIN, ((),), lambda _: None)
            self._sessions.append(session)

    @property
    def free(self) -> list[int]:
        """Sessions that wait for nobody."""
        return [number for number in range(self.sessions) if number not in self._waiting]

    def do(self, step: Step) -> list[Outcome]:
        """Who was answered what in consequence, by session."""
        answers = self._waiting[step.session] = []
        self._sessions[step.session].receive(step.sql, (step.parameters,), answers.append)
        self._clock.run(3.0)
        return self._answered()

    def _answered(self) -> list[Outcome]:
        outcomes = []
        for number in sorted(self._waiting):
            for answer in self._waiting[number]:
                if isinstance(answer, Exception):
                    outcomes.append((number, type(answer).__name__))
                else:
                    outcomes.append((number, shown(answer[1])))
        for number, _ in outcomes:
            del self._waiting[number]
        return outcomes

    def content(self) -> dict[str, str]:
        """What is committed."""
        return {
            table: repr(sorted(tuple(row.values()) for row in self.database.rows(table)))
            for table in TABLES
        }


class Real:
    """The script on a real server."""

    def __init__(self, database: PostgresAddress, admin: PostgresAddress) -> None:
        self._database = database
        self._admin = admin
        self._connections: list[asyncpg.Connection] = []
        self._waiting: dict[int, asyncio.Task[Any]] = {}
        self._monitor: asyncpg.Connection | None = None

    async def open(self, sessions: int, tag: bytes) -> None:
        self._monitor = await self._connect()
        await self._monitor.execute("UPDATE head SET tag = $1", tag)
        for _ in range(sessions):
            connection = await self._connect()
            await connection.execute(f"SET deadlock_timeout = '{_DEADLOCK_SECONDS * 1000:g}ms'")
            await connection.execute(BEGIN)
            self._connections.append(connection)

    async def close(self) -> None:
        for connection in (*self._connections, self._monitor):
            if connection is not None:
                connection.terminate()
        await asyncio.gather(*self._waiting.values(), return_exceptions=True)

    async def do(self, step: Step) -> list[Outcome]:
        connection = self._connections[step.session]
        work = connection.fetch(step.sql, *step.parameters)
        self._waiting[step.session] = asyncio.create_task(work)
        await self._settled()
        outcomes = []
        for number in sorted(self._waiting):
            task = self._waiting[number]
            if task.done():
                error = task.exception()
                text = shown(task.result()) if error is None else type(error).__name__
                outcomes.append((number, text))
        for number, _ in outcomes:
            del self._waiting[number]
        return outcomes

    async def _settled(self) -> None:
        """Until each is through, or has waited for somebody past the look for a circle."""
        async with asyncio.timeout(_SETTLE_SECONDS):
            quiet_since: float | None = None
            while pending := [n for n, task in self._waiting.items() if not task.done()]:
                now = asyncio.get_running_loop().time()
                if not await self._all_blocked(pending):
                    quiet_since = None
                elif quiet_since is None:
                    quiet_since = now
                elif now - quiet_since > 2 * _DEADLOCK_SECONDS:
                    return
                await asyncio.wait(
                    [self._waiting[number] for number in pending],
                    timeout=0.005,
                    return_when=asyncio.FIRST_COMPLETED,
                )

    async def _all_blocked(self, numbers: Sequence[int]) -> bool:
        assert self._monitor is not None
        pids = [self._connections[number].get_server_pid() for number in numbers]
        rows = await self._monitor.fetch(
            "SELECT cardinality(pg_blocking_pids(pid)) FROM unnest($1::int[]) pid", pids
        )
        return all(row[0] > 0 for row in rows)

    async def content(self) -> dict[str, str]:
        assert self._monitor is not None
        return {
            table: repr(sorted(map(tuple, await self._monitor.fetch(f"TABLE {table}"))))
            for table in TABLES
        }

    async def _connect(self) -> asyncpg.Connection:
        (host,) = self._admin.hosts
        return await asyncpg.connect(
            host=host.host,
            port=host.port,
            user=self._admin.user,
            password=self._admin.password,
            database=self._database.database,
            ssl=False,
            server_settings={"search_path": "grapevine"},
        )


class Script:
    """Random statements of two sessions. (With three, who of two that waited goes on first is open:
    no answer would be wrong.)"""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failed: dict[int, None] = {}
        self._planned = [
            Step(0, "INSERT INTO entity (kind, id, body) VALUES ($1, $2, '')", key)
            for key in (("p", "1"), ("p", "2"), ("c", "1"))
        ]
        self._planned += [Step(0, "COMMIT"), Step(0, BEGIN)]

    def next(self, free: Sequence[int]) -> Step:
        """For one of the sessions that wait for nobody."""
        if self._planned:
            return self._planned.pop(0)
        session = self._rng.choice(free)
        if session in self._failed:
            step = Step(session, self._rng.choice(("ROLLBACK", "ROLLBACK", "ROLLBACK TO s")))
        else:
            step = Step(session, *_statement(self._rng))
        if step.sql in ("COMMIT", "ROLLBACK"):
            self._planned.append(Step(session, BEGIN))
        return step

    def answered(self, outcomes: Sequence[Outcome]) -> None:
        for session, text in outcomes:
            if text.endswith("Error"):
                self._failed[session] = None
            else:
                self._failed.pop(session, None)


def _statement(rng: random.Random) -> tuple[str, tuple[Any, ...]]:
    key = rng.choice((("p", "1"), ("p", "1"), ("p", "2"), ("c", "1"), ("c", "1"), ("c", "2")))
    target = ("p", rng.choice("112"))
    node = rng.choice("aab")
    number = rng.randrange(3)
    locks = (" FOR UPDATE", " FOR UPDATE", " FOR KEY SHARE", " FOR SHARE", " FOR NO KEY UPDATE")
    write_id = rng.choice((bytes(16), rng.randbytes(16), rng.randbytes(16)))
    statements: list[tuple[str, tuple[Any, ...]]] = [
        (
            f"SELECT kind, id, body FROM entity WHERE kind = $1 AND id = $2{rng.choice(locks)}",
            key,
        ),
        (
            "INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING kind, id",
            (*key, str(number)),
        ),
        (
            "INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING kind, id",
            (*key, str(number)),
        ),
        ("INSERT INTO entity (kind, id, body) VALUES ($1, $2, $3)", (*key, str(number))),
        (
            "UPDATE entity SET body = body || $3 WHERE kind = $1 AND id = $2 RETURNING body",
            (*key, str(number)),
        ),
        # Of one row: which of several is locked first is open.
        (
            "UPDATE entity SET body = $3 WHERE kind = $1 AND id = $2 AND body <> $3",
            (*key, str(number)),
        ),
        ("DELETE FROM entity WHERE kind = $1 AND id = $2 RETURNING id", key),
        (
            "INSERT INTO entity_unique (kind, field, value, id) VALUES ($1, 'name', $3, $2)"
            " ON CONFLICT DO NOTHING RETURNING value",
            (*key, str(number)),
        ),
        ("DELETE FROM entity_unique WHERE kind = $1 AND id = $2 RETURNING value", key),
        ("SELECT value, id FROM entity_unique WHERE kind = $1", key[:1]),
        (
            "INSERT INTO entity_reference (kind, id, field, target_kind, target_id)"
            " VALUES ('c', $1, $2, $3, $4)",
            (rng.choice("12"), rng.choice("fg"), *target),
        ),
        ("DELETE FROM entity_reference WHERE kind = 'c' AND id = $1", (rng.choice("12"),)),
        (
            "SELECT kind, id, field FROM entity_reference"
            " WHERE target_kind = $1 AND target_id = $2",
            target,
        ),
        (
            POSTGRES.append_log,
            (
                [write_id, rng.randbytes(16)],
                [bytes(32), bytes(32)],
                [b"x", b"y"],
                [1.0, 2.0],
                rng.randrange(9),
            ),
        ),
        (
            POSTGRES.append_one,
            (rng.randbytes(16), bytes(32), b"z", 3.0, rng.randrange(9)),
        ),
        (READ_HEAD_BESIDE, (rng.randrange(9),)),
        (MOVE, (number + 2, bytes([number] * 8))),
        ("SELECT revision FROM head FOR UPDATE", ()),
        ("SELECT revision, chain FROM head", ()),
        (
            "INSERT INTO node (id, name, generation, address)"
            " VALUES ($1, '', CAST($2 AS bigint) + 1, '')"
            " ON CONFLICT (id) DO UPDATE SET generation = 1 +"
            " CASE WHEN node.generation > $2 THEN node.generation ELSE $2 END"
            " RETURNING generation",
            (node, number),
        ),
        (
            "UPDATE node SET generation = generation + 1 WHERE id = $1 AND generation < $2"
            " RETURNING generation",
            (node, number + 1),
        ),
        ("DELETE FROM node WHERE id = $1 AND generation <= $2 RETURNING id", (node, number)),
        ("SELECT pg_advisory_xact_lock($1)", (number,)),
        ("SAVEPOINT s", ()),
        ("ROLLBACK TO s", ()),
        *((end, ()) for end in ("COMMIT", "ROLLBACK")),
    ]
    # What takes locks without failing, more often: an error soon ends a transaction.
    locking = [item for item in statements if "FOR " in item[0] or item[0].startswith("UPDATE")]
    locking += [item for item in statements if "advisory" in item[0] or "DO UPDATE" in item[0]]
    return rng.choice((*statements, *locking, *locking))
