"""What it takes a replica of 100,000 entities to repair itself from a peer (DESIGN 5).

First the sketch alone. For 1, 10, 100 and 1,000 changed entities, which are two items each: the
bytes of the symbols that were asked for until all was read, beside what the theory needs, which is
the mean number of symbols until a decoder fed one at a time has read so many items (here by our own
decoder, over many draws), 26 bytes each. What both sides have cancels out, so these are of the
difference alone. Symbols come in batches; what a batch brings in vain is the difference.

Then whole nodes on loopback, in one process and so on one processor: the same differences among so
many entities, with all that is said on the stream, the work of both sides, and the time from the
question until the peer's state is served. At last a new node that gets everything from two peers,
and one that is 10,000 revisions behind.

    python -m benchmarks.repair [--entities 100000] [--seed 1]
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from benchmarks.entities import configuration
from gossip.core import Gossip
from gossip.events import Event, SnapshotInstalled
from gossip.identity import Identity
from gossip.member import Metadata
from gossip.profiles import LAN
from gossip.sockets import bind
from gossip.transport import Transport
from simulations.reproductions.repair import NEW, OLD, holding, symbols_asked, symbols_needed
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Replica
from store.sketch import SYMBOL_BYTES
from store.version import Head

CHANGED = (1, 10, 100, 1_000)
RATIO_MAX = 1.2
NEW_SECONDS_MAX = 5.0
BEHIND_SECONDS_MAX = 3.0
REVISIONS_BEHIND = 10_000
PATIENCE_SECONDS = 120.0


# The sketch


def sketch_row(changed: int, rng: random.Random) -> dict[str, Any]:
    draws = max(8, 1_000 // changed)
    needed = statistics.mean(symbols_needed(2 * changed, rng) for _ in repeat(None, draws))
    asked = statistics.mean(symbols_asked(changed, rng) for _ in repeat(None, draws))
    return {
        "changed": changed,
        "draws": draws,
        "theory_bytes": round(needed * SYMBOL_BYTES),
        "sketch_bytes": round(asked * SYMBOL_BYTES),
        "ratio": round(asked / needed, 3),
    }


# Whole nodes


class Counting(Transport):
    """Counts what it writes on streams."""

    written = 0

    def _write(self, stream: int, frame: bytes) -> None:
        self.written += 4 + len(frame)
        super()._write(stream, frame)


class Taken(NamedTuple):
    """How long something took, of both sides' one processor and by the clock."""

    seconds: float
    cpu_seconds: float


class Watch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._begun, self._work = time.perf_counter(), time.process_time()

    def read(self) -> Taken:
        seconds, cpu = time.perf_counter() - self._begun, time.process_time() - self._work
        return Taken(round(seconds, 2), round(cpu, 2))


class Node:
    """A node on loopback."""

    def __init__(self, number: int, replica: Replica, seeds: Sequence["Node"]) -> None:
        self.sockets = bind(("127.0.0.1", 0))
        self.replica = replica
        self.installed = asyncio.Event()
        self.core = Gossip(
            Identity(f"00000000-0000-4000-8000-{number:012x}", 1, number),
            Metadata(f"node-{number}", "traditional", "", "1.0", "", ""),
            self.sockets.address,
            "bench",
            LAN,
            replica,
            random.Random(number),
            time.monotonic(),
            authority_access=False,
        )
        addresses = [f"127.0.0.1:{node.sockets.address[1]}" for node in seeds]
        ignore: Callable[[int], None] = lambda _: None  # noqa: E731
        self.transport = Counting(self.core, addresses, self._heard, ignore, ignore)

    def _heard(self, event: Event) -> None:
        if isinstance(event, SnapshotInstalled):
            self.installed.set()

    async def __aenter__(self) -> "Node":
        await self.transport.start(self.sockets)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.transport.close()
        self.sockets.close()

    def counter(self, name: str) -> int:
        return self.core.counters[name]

    async def fetch(self) -> None:
        """Come to a peer's state, as soon as one is known."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.core.fetch_snapshot(self.transport.now()):
                await asyncio.sleep(0.005)
            self.transport.flush()
            await self.installed.wait()


def changed_from(entities: Sequence[Change], changed: int, rng: random.Random) -> list[Change]:
    """The same with other texts in so many places."""
    fresh = [*entities]
    for place in rng.sample(range(len(fresh)), changed):
        text = (fresh[place].entity or "").replace('"created_at":1', '"created_at":2')
        fresh[place] = fresh[place]._replace(entity=text)
    return fresh


async def reconcile_row(
    entities: Sequence[Change], changed: int, rng: random.Random
) -> dict[str, Any]:
    source = Node(1, holding(changed_from(entities, changed, rng), NEW), [])
    target = Node(2, holding(entities, OLD), [source])
    async with source, target:
        watch = Watch()
        await target.fetch()
        took = watch.read()
        assert target.replica.head() == NEW
        assert target.replica.state_hash() == source.replica.state_hash()
        assert target.counter("reconciles_installed") == 1
        return {
            "wire_bytes": source.transport.written + target.transport.written,
            "answers": source.counter("reconciles_answered"),
            "seconds": took.seconds,
            "cpu_seconds": took.cpu_seconds,
        }


async def new_node(entities: Sequence[Change]) -> Taken:
    """From the first packet of a node that holds nothing to the state that two peers hold."""
    first = Node(1, holding(entities, NEW), [])
    second = Node(2, holding(entities, NEW), [first])
    new = Node(3, Replica("bench"), [first, second])
    async with first, second:
        watch = Watch()
        async with new:
            await new.fetch()
            took = watch.read()
            assert new.replica.state_hash() == first.replica.state_hash()
    return took


async def behind(entities: Sequence[Change], rng: random.Random) -> tuple[Taken, str]:
    """What a node needs that missed so many revisions, and how it was repaired."""
    source_replica, target_replica = holding(entities, OLD), holding(entities, OLD)
    for _ in range(REVISIONS_BEHIND):
        one = rng.choice(entities)
        head = Head(*source_replica.head())
        text = (one.entity or "").replace('"created_at":1', f'"created_at":{rng.randrange(2, 10)}')
        body = encode_body(Body(rng.randbytes(16), 1.0, "n", (one._replace(entity=text),)))
        version = head.version._replace(revision=head.version.revision + 1)
        changeset = Changeset(version, head.digest, chain(head.digest, body), body)
        assert source_replica.offer(*changeset) == "applied"
    source = Node(1, source_replica, [])
    target = Node(2, target_replica, [source])
    async with source:
        watch = Watch()
        async with target, asyncio.timeout(PATIENCE_SECONDS):
            while target.replica.head() != source.replica.head():
                if target.counter("behind") and not target.installed.is_set():
                    await target.fetch()
                await asyncio.sleep(0.005)
            took = watch.read()
            assert target.replica.state_hash() == source.replica.state_hash()
            way = "differences" if target.counter("reconciles_installed") else "changesets"
            return took, "state" if target.counter("snapshots_installed") else way


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(options.seed)
    entities = configuration(options.entities, rng)
    rows = []
    heads = ("changed", "theory B", "sketch B", "ratio", "wire B", "answers", "s", "CPU s")
    print("".join(f"{head:>12}" for head in heads))
    for changed in CHANGED:
        row = sketch_row(changed, rng) | await reconcile_row(entities, changed, rng)
        rows.append(row)
        shown = [value for name, value in row.items() if name != "draws"]
        print("".join(f"{value:>12,}" for value in shown))
    new = await new_node(entities)
    print(f"a new node, {options.entities:,} entities from two peers: {new}")
    far, way = await behind(entities, rng)
    print(f"one that was {REVISIONS_BEHIND:,} revisions behind, by {way}: {far}")
    return {
        "benchmark": "repair",
        "entities": options.entities,
        "rows": rows,
        "new_node": new._asdict(),
        "behind": far._asdict() | {"by": way},
        "holds": all(row["ratio"] <= RATIO_MAX for row in rows)
        and new.seconds < NEW_SECONDS_MAX
        and far.seconds < BEHIND_SECONDS_MAX,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
