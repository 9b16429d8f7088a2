"""What the replica file takes, and what it gives: start, memory, look-ups.

A file with services, routes and credentials of key-auth is written; a node starts from it with its
database away. Told are the time from the start of the process to the first proxied answer and the
processor time that the node took until then, the memory of the agent and of its worker
(proportional set size) once the agent holds everything, the processor time of a look-up, cached and
not, and how fast the file is written: as a whole, and changeset by changeset.

    python -m benchmarks.replica [--routes 100000] [--credentials 1000000] [--short]
"""

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import aiohttp

from benchmarks.entities import changed, credentials, entity, pairs
from benchmarks.idle import descendants, processor_seconds, pss_mib
from node.demo.cluster import LocalNode
from node.demo.ports import node_ports
from node.demo.upstream import SampleUpstream
from store.canonical import decode_entity
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.cold.reader import ColdReader, Found
from store.cold.sqlite_file import SqliteColdFile
from store.replica_file.file import ReplicaFile
from store.replica_file.limits import BATCH_CHANGESETS_MAX, SLICE_ENTITIES
from store.schema import cold_kinds
from store.version import Head, Version

HEAD = Head(Version(1, 7, 1), bytes(32))
AUTHORITY = "5b0f8f7c-6c0a-4f5b-9f57-0d8b6d3c9a11"
KIND = "keyauth_credentials"
PATH = "/benchmark"
BASE_PORT = 21_000
LOOK_UPS = 5_000
CHANGESETS = 5_000
START_SECONDS = 300.0


def content(routes: int, keys: int, port: int, rng: random.Random) -> Iterator[Change]:
    """One service and route that lead to the upstream, as many others, and the credentials."""
    target = entity("services", rng, name="benchmark", host="127.0.0.1", port=port)
    yield target
    yield entity("routes", rng, name="benchmark", paths=[PATH], service={"id": target.id})
    yield from pairs(2 * routes, rng)
    yield from credentials(keys, rng)


def write_file(path: Path, changes: Iterator[Change]) -> tuple[int, float]:
    """Entities, and the seconds that writing took without making them."""
    file = ReplicaFile(path)
    whole = file.begin_whole()
    count, taken = 0, 0.0
    while part := list(islice(changes, SLICE_ENTITIES)):
        began = time.perf_counter()
        whole.write(part)
        taken += time.perf_counter() - began
        count += len(part)
    began = time.perf_counter()
    whole.finish(HEAD, AUTHORITY)
    file.close()
    return count, taken + time.perf_counter() - began


def batches_per_second(path: Path, rng: random.Random) -> float:
    """Changesets a second, each with one credential changed, in batches as under load."""
    file = ReplicaFile(path)
    made = list(islice(credentials(CHANGESETS, rng), CHANGESETS))
    head, history = HEAD, []
    for number, change in enumerate(made):
        body = encode_body(Body(number.to_bytes(16, "big"), 1.0, "n", (changed(change),)))
        revision = head.version._replace(revision=head.version.revision + 1)
        item = Changeset(revision, head.digest, chain(head.digest, body), body)
        history.append(item)
        head = Head(item.version, item.digest)
    began = time.perf_counter()
    base = HEAD
    for start in range(0, len(history), BATCH_CHANGESETS_MAX):
        batch = history[start : start + BATCH_CHANGESETS_MAX]
        file.write_batch(base, batch, AUTHORITY)
        base = Head(batch[-1].version, batch[-1].digest)
    taken = time.perf_counter() - began
    file.close()
    return len(history) / taken


def look_up_us(path: Path, keys: list[str]) -> tuple[float, float]:
    """Microseconds of a look-up that reads the file, and of one that the cache answers."""
    source = SqliteColdFile(path)
    reader = ColdReader(source)
    reading = source.read(KIND, "key", keys[0])
    assert reading is not None
    assert reading.fill is not None
    reader.loaded(reading.version)
    reader.vouched(reading.fill, reading.version)
    taken = []
    for _ in range(2):
        began = time.process_time()
        for key in keys:
            answer = reader.find(KIND, "key", key, 0.0)
            assert isinstance(answer, Found), answer
            assert answer.texts, key
        taken.append((time.process_time() - began) / len(keys) * 1e6)
    source.close()
    return taken[0], taken[1]


def some_keys(path: Path, rng: random.Random) -> list[str]:
    """Keys of credentials all over the file."""
    file = ReplicaFile(path)
    rows = file.connection.execute(
        "SELECT text FROM entities_0 WHERE kind = ? AND id >= ? LIMIT ?",
        (KIND, f"{rng.randrange(1_000):08x}", LOOK_UPS),
    ).fetchall()
    file.close()
    rng.shuffle(rows)
    return [str(decode_entity(text)["key"]) for (text,) in rows]


async def start(node: LocalNode) -> tuple[float, float]:
    """Seconds from the process' start to the first proxied answer, and processor seconds."""
    began = time.perf_counter()
    await node.start()
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() - began < START_SECONDS:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{node.proxy_url}{PATH}") as response:
                    if response.status == 200:
                        taken = time.perf_counter() - began
                        return taken, sum(map(processor_seconds, processes(node)))
            await asyncio.sleep(0.02)
    raise SystemExit(f"no answer in {START_SECONDS:g} s:\n{node.log_tail()}")


async def until_whole(node: LocalNode) -> None:
    """Wait until the agent holds everything."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{node.status_url}/status") as response:
                if (await response.json())["cluster"]["revision"] == str(HEAD.version):
                    return
            await asyncio.sleep(0.1)


def processes(node: LocalNode) -> list[int]:
    """The agent, then its workers."""
    assert node.process is not None
    return descendants(node.process.pid)


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """All of it."""
    rng = random.Random(options.seed)
    upstream = SampleUpstream()
    await upstream.start()
    node = LocalNode(folder, 1, node_ports(BASE_PORT, 1))
    # The database that it names isn't there.
    node.configure({"database": "sqlite", "sqlite_path": str(folder / "authority.db")})
    node.prefix.mkdir(mode=0o700, exist_ok=True)
    path = node.prefix / "replica.db"
    made = content(options.routes, options.credentials, upstream.port, rng)
    count, taken = write_file(path, made)
    told: dict[str, float] = {
        "entities": count,
        "file_mib": path.stat().st_size / 2**20,
        "whole_per_second": count / taken,
    }
    print(f"written as a whole:   {count:,} entities, {told['whole_per_second']:,.0f} a second")
    try:
        told["start_seconds"], told["start_processor_seconds"] = await start(node)
        print(f"first proxied answer: {told['start_seconds']:.2f} s after the start, "
              f"{told['start_processor_seconds']:.2f} s of processors")  # fmt: skip
        await asyncio.wait_for(until_whole(node), START_SECONDS)
        agent, *workers = processes(node)
        told["agent_mib"], told["worker_mib"] = pss_mib(agent), max(map(pss_mib, workers))
        print(f"memory (PSS):         agent {told['agent_mib']:,.0f} MiB, "
              f"worker {told['worker_mib']:,.0f} MiB")  # fmt: skip
    finally:
        await node.stop()
        await upstream.stop()
    if KIND in cold_kinds():
        told["look_up_us"], told["cached_us"] = look_up_us(path, some_keys(path, rng))
        print(f"look-up:              {told['look_up_us']:.1f} us from the file, "
              f"{told['cached_us']:.1f} us cached")  # fmt: skip
    told["changesets_per_second"] = batches_per_second(path, rng)
    print(f"changesets written:   {told['changesets_per_second']:,.0f} a second")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--routes", type=int, default=100_000, help="each with a service")
    parser.add_argument("--credentials", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="1,000 and 10,000: does it run?")
    options = parser.parse_args()
    if options.short:
        options.routes, options.credentials = 1_000, 10_000
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(options, Path(folder)))
    rounded = {name: round(value, 2) for name, value in told.items()}
    print(json.dumps({"benchmark": "replica", **rounded}))


if __name__ == "__main__":
    main()
