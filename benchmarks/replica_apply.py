"""What one changeset costs in the agent's replica and in a worker, with few entities and with many.

The same changesets (a route put, a service put, a route created and deleted again) are applied to a
replica and to a worker's routing table that hold 100 entities, and to such that hold 100,000; turn
by turn, so that whatever else the machine does hits both. The worker's cache of matches is full, as
it is under load. Beside that, for both sizes: the longest single call while a whole state is pinned,
given, taken in and let go of, and the largest part of one changeset's cost, the state hash.

    python -m benchmarks.replica_apply [--sizes 100,100000] [--changes 3000]
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gossip.limits import SLICE_BYTES
from node.agent.limits import LOAD_SLICE_ENTITIES
from node.proxy.limits import ROUTER_CACHE_ENTRIES_MAX
from node.proxy.router import Request
from node.proxy.table import Table
from store.authority import State
from store.canonical import encode_entity
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Replica
from store.schema import schema
from store.state_hash import StateSum, element, identify
from store.version import Head, Version

WRITE_ID = bytes(16)


class Holding(NamedTuple):
    """A replica and a worker's table with the same entities."""

    size: int
    changes: list[Change]
    replica: Replica
    table: Table


def entity(kind: str, **fields: object) -> Change:
    """An entity as the authority stores it."""
    whole = schema(kind).validate_new(fields, 1_700_000_000)
    return Change(kind, whole["id"], encode_entity(whole))


def entities(size: int, rng: random.Random) -> list[Change]:
    """Services with a route each, by kind and id."""
    made: list[Change] = []
    for number in range(size // 2):
        made.append(entity("services", name=f"service-{number}", host=f"s{number}.internal"))
        made.append(route(number, made[-1].id, rng))
    return sorted(made)


def route(number: int, service_id: str, rng: random.Random) -> Change:
    """A route to a service, under one of a thousand hosts."""
    host = f"h{rng.randrange(1_000)}.example.com"
    fields = {"hosts": [host], "paths": [f"/api/v1/{number}"], "service": {"id": service_id}}
    return entity("routes", name=f"route-{number}", **fields)


def holding(size: int, rng: random.Random) -> Holding:
    """Fill both."""
    changes = entities(size, rng)
    replica = Replica("benchmark")
    replica.load(State(Head(Version(1, 7, 1), bytes(32)), tuple(changes)))
    table = Table(lambda reason: None)
    table.apply((1, 7, 1), changes)
    return Holding(size, changes, replica, table)


def transactions(held: Holding, count: int, rng: random.Random) -> Iterator[tuple[str, Change]]:
    """Named changes that leave behind as many entities as there were."""
    services = [change for change in held.changes if change.kind == "services"]
    routes = [change for change in held.changes if change.kind == "routes"]
    for number in range(count // 4):
        for kind, chosen in (("route", rng.choice(routes)), ("service", rng.choice(services))):
            fields = json.loads(chosen.entity or "")
            fields["updated_at"] = 1_700_000_000 + number
            yield f"{kind} put", chosen._replace(entity=encode_entity(fields))
        new = route(10**6 + number, rng.choice(services).id, rng)
        yield "route new", new
        yield "route gone", new._replace(entity=None)


def following(replica: Replica, change: Change) -> Changeset:
    """The changeset that makes this one change."""
    head = Head(*replica.head())
    body = encode_body(Body(WRITE_ID, 1.0, "node", (change,)))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


def seconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def warm(table: Table) -> None:
    """Fill the cache of matches, as requests do."""
    for number in range(ROUTER_CACHE_ENTRIES_MAX - 1):
        path = b"/api/v1/%d" % number
        table.match(Request(b"GET", b"h1.example.com", path, False, b"", 8000, lambda name: ()))


def apply_cost(held: list[Holding], changes: int, rng: random.Random) -> dict[str, list[float]]:
    """Median microseconds by what is done, one for each size."""
    taken: dict[str, list[list[float]]] = {}
    todo = [transactions(each, changes, rng) for each in held]
    for step in zip(*todo, strict=True):
        for at, (name, change) in enumerate(step):
            replica, table = held[at].replica, held[at].table
            item = following(replica, change)
            warm(table) if False else None
            for where, call in (
                ("replica", lambda r=replica, i=item: r.offer(*i)),
                ("worker", lambda t=table, i=item, c=change: t.apply(i.version, (c,))),
            ):
                row = taken.setdefault(f"{where}: {name}", [[] for _ in held])
                row[at].append(seconds(call))
    return {
        name: [statistics.median(times) * 1e6 for times in row] for name, row in taken.items()
    }
