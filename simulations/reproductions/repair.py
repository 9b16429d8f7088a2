"""What it takes a replica to repair itself from a peer, by the number of differences."""

import random
import statistics
from collections.abc import Sequence
from itertools import count, repeat

import msgpack

from simulations import facts
from simulations.authority import EntityReplica
from simulations.report import Cell, Report, Series, Table
from simulations.settings import Settings
from simulations.world import World
from store.authority import State
from store.changeset import Change
from store.limits import SKETCH_SYMBOLS_MAX
from store.replica import Replica
from store.sketch import ITEM_BYTES, SYMBOL_BYTES, Sketch
from store.sketch_decoder import Decoder
from store.version import Head, Version

OLD, NEW = (Head(Version(1, 7, revision), bytes([revision % 251]) * 32) for revision in (1, 2_000))


def symbols_needed(items: int, rng: random.Random) -> int:
    """How many symbols, one at a time, show so many items."""
    theirs, none = Sketch(0, SKETCH_SYMBOLS_MAX), Sketch(0, SKETCH_SYMBOLS_MAX)
    for _ in range(items):
        theirs.add(rng.randbytes(ITEM_BYTES))
    decoder = Decoder()
    for end in count(1):
        decoder.feed(theirs.encode(end - 1, end), none.encode(end - 1, end))
        if decoder.peel(items + 1) == "done":
            return end
    raise AssertionError("it counts for ever")


def symbols_asked(changed: int, rng: random.Random) -> int:
    """How many symbols a replica asks a peer for, of which so many entities differ."""
    authority_id = f"{rng.getrandbits(64):x}"  # other items each time
    target = holding([service(number, "a") for number in range(changed)], OLD, authority_id)
    source = holding([service(number, "b") for number in range(changed)], NEW, authority_id)
    giving, asked = source.give(), 0
    reconciliation = target.begin_reconcile(*giving.head, giving.state_hash)
    step = reconciliation.proceed()
    while step != "ready":
        if isinstance(step, bytes):
            name, *rest = msgpack.unpackb(step)
            asked = rest[1] if name == "symbols" else asked
            while (answer := giving.answer(step)) is None:
                giving.work()
            step = reconciliation.proceed(answer)
        else:
            assert step == "working", step
            step = reconciliation.proceed()
    return asked


def service(number: int, name: str) -> Change:
    return Change("services", f"{number:08d}", f'{{"name":"{name}{number}"}}')


def holding(entities: Sequence[Change], head: Head, authority_id: str = "bench") -> Replica:
    replica = Replica(authority_id)
    replica.load(State(head, tuple(entities)))
    return replica


class Metered(World):
    """Counts what arrives on streams."""

    stream_bytes = 0

    def record(self, kind: int, node: int, what: bytes) -> None:
        if kind == facts.FRAME:
            self.stream_bytes += 4 + len(what)
        super().record(kind, node, what)


def repair(nodes: int, seed: int, settings: Settings) -> Report:
    """Bytes, questions and time until one replica is as another, by the number of differences.

    Two nodes whose logs don't reach, whatever --nodes says, with ``entities`` of 60 bytes; changed
    at random places. The time is the network's alone: work takes none here. How long it takes a
    machine is ``make bench-repair``.
    """
    entities = settings.get("entities", 20_000, 1, 1_000_000)
    changed = settings.numbers("changed", [1, 10, 100, 1_000], 1, 1_000_000)
    profile, link = settings.profile(), settings.link()
    settings.check_used()
    rng = random.Random(seed)
    held = [service(number, "name-of-a-service-") for number in range(entities)]
    whole = sum(len(one.entity or "") for one in held)
    series, rows, measures = Series(), list[list[Cell]](), dict[str, float]()
    for differing in (one for one in changed if one <= entities):
        settings.progress(len(rows), len(changed))
        draws = max(1, min(8, 400 // differing))
        needed = statistics.mean(symbols_needed(2 * differing, rng) for _ in repeat(None, draws))
        world = Metered(2, seed, profile, link, new_replica=EntityReplica)
        fresh = [*held]
        for place in rng.sample(range(entities), differing):
            fresh[place] = service(place, "renamed-in-the-mean-time-")
        for node, state in zip(world.nodes, (State(NEW, tuple(fresh)), State(OLD, tuple(held))),
                               strict=True):  # fmt: skip
            replica = node.replica
            assert isinstance(replica, EntityReplica)
            replica._replica.load(state)
        seconds = _repaired(world)
        answers = world.nodes[0].core.counters["reconciles_answered"]
        name = "differences" if world.nodes[1].core.counters["reconciles_installed"] else "state"
        theory = needed * SYMBOL_BYTES
        rows.append(
            [differing, theory, world.stream_bytes, f"{world.stream_bytes / whole:.1%}", answers,
             seconds * 1e3, name]
        )  # fmt: skip
        measures[f"changed{differing}_bytes"] = float(world.stream_bytes)
        measures[f"changed{differing}_answers"] = float(answers)
        series.add(world)
    table = Table(
        f"What it takes to repair a replica of {entities} entities ({whole} bytes) from a peer",
        ("changed", "sketch, theory B", "bytes in all", "of the state", "answers", "ms", "by"),
        rows,
        ["Theory: symbols that show 2 items for each changed entity, of "
         f"{SYMBOL_BYTES} bytes. In all: what travels on the streams, the entities included."],
    )  # fmt: skip
    return series.report(measures, [table], "safety", "liveness")


def _repaired(world: World) -> float:
    """Seconds from the question until the other state is served."""
    world.begin_formed()
    world.authority.available = False
    source, target = world.nodes
    world.run_until(lambda: target.core.fetch_snapshot(target.now()), 10.0, "nobody to ask")
    target.flush()
    took = world.run_until(
        lambda: target.replica.head() == source.replica.head(), 60.0, "it isn't repaired"
    )
    version = source.replica.head()[0]
    same = target.replica.state_hash(version) == source.replica.state_hash(version)
    assert same, "it came to another state"
    return took
