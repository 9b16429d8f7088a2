"""What one changeset costs in the agent's replica and in a worker, with few entities and with many.

The same kinds of changes are put into effect in a replica and in a worker's routing table that hold
100 entities, and in such that hold 100,000, turn by turn. Now and then a worker's cache of matches
is full, as it is under load. Then the longest single call while a whole state is pinned, given,
taken in, let go of: what a node's loop is held for at most. Then what the state hash and the sketch
take of a change. All times are processor time, so that nothing else on the machine counts.

    python -m benchmarks.replica_apply [--sizes 100,100000] [--changes 4000]
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.entities import changed, configuration, following, hub, route
from gossip.limits import SLICE_BYTES
from node.agent.limits import SNAPSHOT_SLICE_CHANGES
from node.proxy.limits import DISMANTLED_AT_ONCE, ROUTER_CACHE_ENTRIES_MAX
from node.proxy.router import Request
from node.proxy.table import Table
from store.authority import State
from store.changeset import Change
from store.limits import SKETCH_SYMBOLS_MAX
from store.replica import Replica
from store.sketch import Sketch, item_of, sketch_key
from store.state_hash import StateSum, element, identify
from store.version import Head, Version

HEAD = Head(Version(1, 7, 1), bytes(32))
FULL_CACHE_EVERY = 20
"""Filling the cache takes long: so many changes apart."""


class Holding(NamedTuple):
    """A replica and a worker's table with the same entities."""

    changes: list[Change]
    replica: Replica
    table: Table


def holding(size: int, rng: random.Random) -> Holding:
    """Fill both."""
    changes = configuration(size, rng)
    replica = Replica("benchmark")
    replica.load(State(HEAD, tuple(changes)))
    table = Table(lambda reason: None)
    table.apply(HEAD.version, changes)
    return Holding(changes, replica, table)


def transactions(held: Holding, count: int, rng: random.Random) -> Iterator[tuple[str, Change]]:
    """Named changes; they leave behind as many entities as there were."""
    services = [change for change in held.changes if change.kind == "services"]
    routes = [change for change in held.changes if change.kind == "routes"]
    most = hub(held.changes)
    for number in range(count // 5):
        yield "a route changes", changed(rng.choice(routes), paths=[f"/api/v2/{number}"])
        yield "a service changes", changed(rng.choice(services), updated_at=number)
        yield "half of the routes lose their service", changed(most, enabled=number % 2 == 1)
        new = route(10**6 + number, rng.choice(services).id, rng)
        yield "a route comes", new
        yield "a route goes", new._replace(entity=None)


def seconds(call: Callable[..., object], *arguments: object) -> float:
    """Processor time of a call."""
    began = time.thread_time()
    call(*arguments)
    return time.thread_time() - began


def fill_cache(table: Table) -> None:
    """As requests do."""
    for number in range(ROUTER_CACHE_ENTRIES_MAX - 1):
        path = b"/api/v1/%d" % number
        table.match(Request(b"GET", b"h1.example.com", path, False, b"", 8000, lambda name: ()))


def apply_costs(held: list[Holding], count: int, rng: random.Random) -> dict[str, list[float]]:
    """Median microseconds by what is done, one for each size."""
    taken: dict[str, list[list[float]]] = {}

    def note(name: str, at: int, took: float) -> None:
        taken.setdefault(name, [[] for _ in held])[at].append(took * 1e6)

    steps = zip(*(transactions(each, count, rng) for each in held), strict=True)
    for number, step in enumerate(steps):
        for at, (name, change) in enumerate(step):
            replica, table = held[at].replica, held[at].table
            item = following(replica, change)
            note(f"replica: {name}", at, seconds(replica.offer, *item))
            where = "worker"
            if number % FULL_CACHE_EVERY == 0:
                fill_cache(table)
                where = "worker, its cache full"
            note(f"{where}: {name}", at, seconds(table.apply, item.version, (change,)))
    return {name: [statistics.median(times) for times in taken[name]] for name in sorted(taken)}


def longest_calls(held: Holding) -> dict[str, float]:
    """The longest call of each kind, in milliseconds."""
    source, target = held.replica, Replica("benchmark")
    pin = seconds(source.pin)
    slices: list[bytes] = []
    giving = source.give().slices(SLICE_BYTES)
    give = [seconds(slices.append, next(giving))]
    while slices[-1]:
        began = time.thread_time()
        slices.append(next(giving, b""))
        give.append(time.thread_time() - began)
    installation = target.begin_install(*source.head(), source.state_hash() or b"")
    feed = [seconds(installation.feed, data) for data in slices[:-1]]
    swap = seconds(installation.finish)
    target.load(State(HEAD, ()))
    tidy = [seconds(target.tidy)]
    while target.tidy():
        tidy.append(seconds(target.tidy))
    longest = {
        "pin the whole": [pin],
        "make a slice for a peer": give,
        "take a peer's slice in": feed,
        "swap the whole": [swap],
        "let go of a part": tidy,
        **worker_calls(held.changes),
    }
    return {name: max(times) * 1e3 for name, times in longest.items()}


def worker_calls(changes: list[Change]) -> dict[str, list[float]]:
    """How long a worker's calls take, in seconds."""
    table = Table(lambda reason: None)
    take: list[float] = []
    for begin in range(0, len(changes), SNAPSHOT_SLICE_CHANGES):
        part = changes[begin : begin + SNAPSHOT_SLICE_CHANGES]
        take.append(seconds(table.apply, HEAD.version, part))
        gc.freeze()  # as a worker does
    steps = table.dismantle()
    leave = [seconds(next, steps, None) for _ in range(len(changes) // DISMANTLED_AT_ONCE)]
    return {"worker: take a slice in": take, "worker: let go of a part": leave}


def parts_of_a_change(changes: list[Change]) -> dict[str, float]:
    """Median microseconds for an entity that is replaced."""
    total, sketch, key = StateSum(), Sketch(0, SKETCH_SYMBOLS_MAX), sketch_key("benchmark")

    def state_hash(message: bytes) -> None:
        total.subtract(element(message))
        total.add(element(message))
        total.digest()

    def keep_sketch(message: bytes) -> None:
        sketch.remove(item_of(key, message))
        sketch.add(item_of(key, message))

    messages = [identify(one.kind, one.id, (one.entity or "").encode()) for one in changes[:2_000]]
    return {
        "state hash": statistics.median(seconds(state_hash, one) for one in messages) * 1e6,
        "sketch": statistics.median(seconds(keep_sketch, one) for one in messages) * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="100,100000", help="entities (default 100,100000)")
    parser.add_argument("--changes", type=int, default=4_000, help="of each (default 4000)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    sizes = [int(size) for size in options.sizes.split(",")]
    held = [holding(size, rng) for size in sizes]
    gc.collect()
    gc.freeze()
    print(f"one changeset of one change, median in µs{'':19}", *(f"{size:>9,}" for size in sizes))
    costs = apply_costs(held, options.changes, rng)
    for name, row in costs.items():
        print(f"{name:60}", *(f"{each:9.1f}" for each in row), f"  ratio {row[-1] / row[0]:5.2f}")
    print(f"\nlongest single call in ms, {sizes[-1]:,} entities")
    calls = longest_calls(held[-1])
    for name, each in calls.items():
        print(f"{name:60} {each:9.2f}")
    print("\nof the replica's cost, for an entity that is replaced, median in µs")
    parts = parts_of_a_change(held[-1].changes)
    for name, each in parts.items():
        print(f"{name:60} {each:9.1f}")
    fields = {
        "sizes": sizes,
        "apply_us": {name: [round(each, 1) for each in row] for name, row in costs.items()},
        "ratio_max": round(max(row[-1] / row[0] for row in costs.values()), 2),
        "longest_ms": {name: round(each, 2) for name, each in calls.items()},
        "parts_us": {name: round(each, 1) for name, each in parts.items()},
    }
    print(json.dumps({"benchmark": "replica_apply", **fields}))


if __name__ == "__main__":
    main()
