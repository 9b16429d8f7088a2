"""Postgres is killed during COMMIT, again and again, while several writes share the transaction.

Every answer must be true: what was answered with a revision is in the log, what was refused or told
as not written isn't, and a retry under the same write id never makes anything twice.
GRAPEVINE_TEST_KILLS says how often; 300 take about a minute on an idle machine.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest

from node.demo.local_postgres import LocalPostgres
from simulations.real.postgres import execute
from store.authority import Create, Mutation
from store.changeset import decode_body
from store.errors import AuthorityUnavailable, EntityError, OutcomeUnknown
from store.postgres import PostgresAuthority
from store.version import EMPTY, Head
from tests.postgres_server import PostgresDatabases
from tests.store.history import check_history
from tests.store.postgres_proxy import CommitProxy

Answer = TypeVar("Answer")

KILLS = int(os.environ.get("GRAPEVINE_TEST_KILLS", "40"))
WRITERS = 6
COMMIT_SECONDS = 0.03
SLOW_COMMIT = f"""
CREATE FUNCTION grapevine.wait() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_sleep({COMMIT_SECONDS}); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON grapevine.head DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION grapevine.wait();
"""
"""COMMIT takes that long before it takes effect, so that some are caught before and some after."""

BACK_SECONDS = 60.0
"""How long the server may take to come back on a busy machine."""


@dataclass
class Crasher:
    """Kills the backend that commits (upon which Postgres restarts itself), or all of Postgres."""

    server: LocalPostgres
    rng: random.Random
    backends: int = 0
    servers: int = 0
    restarting: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        time.sleep(COMMIT_SECONDS * self.rng.random())
        if self.rng.random() < 0.5:
            for pid in self.server.children():
                self.backends += self._kill_if_backend(pid)
        else:
            self.servers += 1
            self.server.kill()
            self.restarting = asyncio.create_task(asyncio.to_thread(self.server.start))

    def _kill_if_backend(self, pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                ours = b" 127.0.0.1(" in file.read()
            if ours:
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return ours


@dataclass
class Told:
    """What the writers were answered, by write id."""

    written: dict[bytes, int] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    unwritten: set[bytes] = field(default_factory=set)
    unknown: set[bytes] = field(default_factory=set)


def service(name: str, write_id: bytes) -> list[Mutation]:
    """Named alike by some that go together, so that they are refused."""
    return [Create("services", {"name": name, "host": write_id.hex()})]


async def write(
    authority: PostgresAuthority, mutations: list[Mutation], write_id: bytes, told: Told
) -> None:
    try:
        committed = await authority.write(mutations, origin="", write_id=write_id)
    except EntityError:
        told.refused.add(write_id)
    except OutcomeUnknown as error:
        told.unknown.add(error.write_id)
    except AuthorityUnavailable:
        told.unwritten.add(write_id)
    else:
        assert committed.changeset is not None
        told.written[write_id] = committed.head.version.revision


async def persistently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a client does that is told to try again."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                return await call()
            except AuthorityUnavailable:
                await asyncio.sleep(0.01)


async def repeat(
    authority: PostgresAuthority, mutations: list[Mutation], write_id: bytes
) -> int | None:
    """Write until the answer is definite; the revision, None for a refusal."""
    try:
        committed = await persistently(
            lambda: authority.write(mutations, origin="", write_id=write_id)
        )
    except EntityError:
        return None
    return committed.head.version.revision


async def logged(authority: PostgresAuthority) -> dict[bytes, tuple[int, int]]:
    """Write id -> (revision, number of changes)."""
    found = {}
    point = EMPTY
    while following := await authority.log(point):
        for item in following:
            body = decode_body(item.body)
            assert body.write_id not in found
            found[body.write_id] = (item.version.revision, len(body.changes))
        point = Head(following[-1].version, following[-1].digest)
    return found


@pytest.mark.long
@pytest.mark.timeout(60 + 5 * KILLS)
async def test_every_answer_is_true_however_postgres_dies_in_commit(
    own_postgres: LocalPostgres,
) -> None:
    rng = random.Random(KILLS)
    database = await PostgresDatabases(own_postgres.address()).create()
    await execute(database, SLOW_COMMIT)
    crash = Crasher(own_postgres, rng)
    proxy = CommitProxy(database, fate="delivered", then=crash)
    all_written: dict[bytes, int] = {}
    async with proxy.running() as address:
        authority = PostgresAuthority(replace(address, timeout=BACK_SECONDS))
        await authority.open()
        for number in range(KILLS):
            told = Told()
            proxy.arm(fate="lost" if number % 4 == 0 else "delivered")
            ids = [(number * WRITERS + writer).to_bytes(16, "big") for writer in range(WRITERS)]
            names = [f"s{number}.{rng.randrange(WRITERS)}" for _ in ids]
            await asyncio.gather(
                *(
                    write(
                        authority,
                        service(name, write_id),
                        write_id,
                        told,
                    )
                    for name, write_id in zip(names, ids, strict=True)
                )
            )
            if crash.restarting is not None:
                await crash.restarting
            found = await persistently(lambda: logged(authority))
            assert {item: found[item][0] for item in told.written} == told.written
            assert not (told.refused | told.unwritten) & found.keys()
            assert not told.unknown  # it came back in time
            # A client that repeats what it was answered learns the same, and nothing is doubled.
            for write_id, name in zip(ids, names, strict=True):
                again = await repeat(authority, service(name, write_id), write_id)
                assert told.written.get(write_id, again) == again
                if again is not None:
                    all_written[write_id] = again
        assert crash.backends > 0
        assert crash.servers > 0
        counters = authority.writes.queue.counters
        assert counters["commits_lost"] > counters["commits_found"] > 0  # it went either way
        print(f"{KILLS} kills: {crash.backends} backends, {crash.servers} servers; {counters}")
        found = await persistently(lambda: logged(authority))
        assert {item: revision for item, (revision, _) in found.items()} == all_written
        assert {count for _, count in found.values()} == {1}
        assert await check_history(authority) == len(all_written)
        await authority.close()
