"""What can go wrong with the authority, the disks and the workers of whole nodes, beside all that
``simulations.faults`` does to nodes and the network."""

import random

from simulations.faults import Fault, Timed
from simulations.faults.kind import duration
from simulations.operations import AuthorityAway, Crash, Silence, Start
from simulations.whole.operations import (
    ClientWrites,
    DamageReplica,
    Flood,
    KillWorker,
    LoseAtCommit,
    LoseCommits,
    SlowAuthority,
    SplitTheDatabase,
    StopOneDatabase,
    TrimLog,
)


def worker_death(rng: random.Random, nodes: int) -> list[Timed]:
    """Workers die, one again and again."""
    node = rng.randrange(nodes)
    return [(n * rng.uniform(0.0, 2.0), KillWorker(node)) for n in range(rng.randrange(1, 4))]


def damaged_replica(rng: random.Random, nodes: int) -> list[Timed]:
    """A replica file can't be read at the next start, and by the worker until then."""
    node = rng.randrange(nodes)
    at = duration(rng) / 4
    end = rng.choice([Crash(node), Silence(node, 1)])
    return [(0.0, DamageReplica(node)), (at, end), (at + duration(rng) / 4, Start(node))]


def commit_lost(rng: random.Random, nodes: int) -> list[Timed]:
    """A connection is lost in COMMIT; or the writer dies between the commit and its push."""
    node = rng.randrange(nodes)
    timed: list[Timed] = [
        (0.0, LoseAtCommit(rng.choice(["done", "undone", "killed"]))),
        (0.0, ClientWrites(node)),
    ]
    return [*timed, (duration(rng), Start(node))]


def slow_database(rng: random.Random, nodes: int) -> list[Timed]:
    """Answers to commits take their time."""
    return [(0.0, SlowAuthority(rng.choice([0.05, 0.5, 3.0]))), (duration(rng), SlowAuthority(0.0))]


def trimmed_log(rng: random.Random, nodes: int) -> list[Timed]:
    """The log forgets."""
    return [(0.0, TrimLog(rng.choice([0, 1, 10])))]


def lossy_failover(rng: random.Random, nodes: int) -> list[Timed]:
    """The database is away for a moment, and a standby that lagged is in its place then."""
    lost = LoseCommits(rng.choice([0, 1, 1, 2, 5]))
    away = duration(rng) / 4
    timed: list[Timed] = [(0.0, AuthorityAway()), (0.0, lost), (away, AuthorityAway(away=False))]
    # Who is first to write knows nothing of what was lost, or all of it.
    return [*timed, (away + rng.choice([0.0, 1.0]), ClientWrites(rng.randrange(nodes)))]


def restore(rng: random.Random, nodes: int) -> list[Timed]:
    """An operator puts an old image in the database's place."""
    return [(0.0, LoseCommits(rng.choice([1, 3, 20, 1_000]), restored=True))]


def split(rng: random.Random, nodes: int) -> list[Timed]:
    """Two databases take writes at once, each for some of the nodes."""
    reached = tuple(sorted(rng.sample(range(nodes), rng.randrange(1, nodes + 1))))
    timed: list[Timed] = [(0.0, SplitTheDatabase(reached))]
    lasting = 2.0 + duration(rng)
    for _ in range(rng.randrange(6)):
        timed.append((rng.uniform(0.0, lasting), ClientWrites(rng.randrange(nodes))))
    timed = sorted(timed, key=lambda one: one[0])
    return [*timed, (lasting, StopOneDatabase(younger=rng.random() < 0.3))]


def refill(rng: random.Random, nodes: int) -> list[Timed]:
    """A node begins anew on an empty disk while the authority is away: its peers fill it."""
    node = rng.randrange(nodes)
    at = rng.uniform(0.0, 2.0)
    return [
        (0.0, TrimLog(rng.choice([0, 1]))),
        (0.0, AuthorityAway()),
        (0.0, Crash(node)),
        (at, Start(node, "empty")),
        (at + 5.0 + duration(rng), AuthorityAway(away=False)),
    ]


def flood(rng: random.Random, nodes: int) -> list[Timed]:
    """A member sends another one thousands of changesets that follow on nothing."""
    if nodes < 2:
        return []
    return [(0.0, Flood(*rng.sample(range(nodes), 2)))]


FAULTS: tuple[Fault, ...] = (
    worker_death, damaged_replica, commit_lost, slow_database, trimmed_log, lossy_failover, restore,
    split, refill, flood,
)  # fmt: skip
