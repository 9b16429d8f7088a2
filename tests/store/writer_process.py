"""A process that writes to an authority.

``python -m tests.store.writer_process WHERE SEED COUNT [CLIENTS]``

WHERE is a SQLite file or a Postgres URL. Each of the clients (1) makes COUNT writes without pause,
so that those of several share transactions; 0 means until it is killed, also past a time without
the authority. Prints one line per committed write, its revision.
"""

import asyncio
import itertools
import random
import sys

from store.authority import Authority, Create, Delete, Mutation, Patch, Put, Query
from store.errors import AuthorityUnavailable, EntityError
from store.postgres import PostgresAuthority
from store.sqlite import SqliteAuthority
from tests.postgres_server import parse_dsn

EXPECTED = (4, 5, 6, 13)
"""Error codes that colliding writers are answered with."""
NAMES = [f"name{number}" for number in range(6)]


async def random_mutation(authority: Authority, rng: random.Random) -> Mutation:
    """Something that is likely to collide with what others do, and often refused."""
    name = rng.choice(NAMES)
    match rng.randrange(8):
        case 0 | 1:
            return Create("services", {"name": name, "host": f"h{rng.random()}"})
        case 2:
            return Put("services", name, {"host": "put", "tags": [rng.choice("abc")]})
        case 3:
            return Patch("services", name, {"name": rng.choice(NAMES), "retries": rng.randrange(9)})
        case 4 | 5:
            fields = {"name": name, "paths": [f"/{name}"], "service": {"name": rng.choice(NAMES)}}
            return Put("routes", name, fields)
        case 6:
            return Delete("routes", name)
        case _:
            page = await authority.list(Query("services", size=3))
            return Delete("services", page.entities[-1]["id"] if page.entities else name)


async def write_at_random(authority: Authority, seed: int, count: int, *, show: bool) -> int:
    """Answers how many writes took a revision."""
    rng = random.Random(seed)
    committed = 0
    for _ in range(count) if count else itertools.count():
        mutations = [await random_mutation(authority, rng) for _ in range(rng.choice((1, 1, 1, 3)))]
        try:
            outcome = await authority.write(mutations, origin=str(seed))
        except EntityError as error:
            if error.code not in EXPECTED:
                raise
            continue
        if outcome.changeset is not None:
            committed += 1
            if show:
                print(outcome.head.version.revision, flush=True)
    return committed


def authority_at(where: str) -> Authority:
    """The authority that the first argument names."""
    if where.startswith("postgresql://"):
        return PostgresAuthority(parse_dsn(where))
    return SqliteAuthority(where)


async def main(where: str, seed: int, count: int, clients: int = 1) -> None:
    authority = authority_at(where)
    await authority.open()

    async def client(seed: int) -> None:
        while True:
            try:
                await write_at_random(authority, seed, count, show=True)
                return
            except AuthorityUnavailable:
                if count:
                    raise

    try:
        await asyncio.gather(*(client(1000 * number + seed) for number in range(clients)))
    finally:
        await authority.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
