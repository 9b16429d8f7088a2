"""``python -m tests.store.replica_killing``: kills a writer of a replica file, again and again.

Each time a child is forked that loads the file, applies what follows and persists it; it is killed
after some milliseconds, wherever it is. Then the file must be exactly some version of the history,
not below the one before. Prints one line; exit code 1 says what was wrong and with which seed.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from itertools import islice
from pathlib import Path

from store.changeset import Changeset
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.replica_file.persister import Persister
from store.replica_file.work import work_of
from store.version import EMPTY, Head
from tests.store.replica_history import head_of, random_history, read_file

AUTHORITY = "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11"
HISTORY = 3_000
ALIVE_SECONDS_MAX = 0.1


class Wrong(Exception):
    """The file isn't what it must be."""


def write_on(path: Path, history: list[Changeset], rng: random.Random) -> None:
    """The child: never returns but at the end of the history."""
    file, replica = ReplicaFile(path), Replica(AUTHORITY)
    loaded = read_file(file)
    if loaded is not None:
        replica.load(loaded.state, loaded.log)
    persister = Persister(loaded.state.head if loaded is not None else None, AUTHORITY)
    now = 0.0
    for item in history[Head(*replica.head()).version.revision :]:
        assert replica.offer(*item) == "applied"
        persister.applied(item)
        if rng.random() < 0.02:
            persister.replaced()
        now += 0.02
        job = persister.next(now)
        if job is not None:
            work = work_of(job, file, replica)
            for transaction in work.transactions:
                transaction()
            persister.written(now, work.head)
    os._exit(0)


def _child(path: Path, history: list[Changeset], rng: random.Random) -> None:
    try:
        write_on(path, history, rng)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


class Checker:
    """Replays the history beside what is found in the file."""

    def __init__(self, history: list[Changeset]) -> None:
        self._history = history
        self._replica = Replica(AUTHORITY)

    def check(self, path: Path) -> int:
        """The revision that the file is at. Raises Wrong, and what reading it raises."""
        file = ReplicaFile(path)
        loaded = read_file(file)
        file.close()
        before = Head(*self._replica.head()).version.revision
        if loaded is None:
            if before:
                raise Wrong(f"nothing stands in the file, where revision {before} did")
            return 0
        revision = loaded.state.head.version.revision
        if revision < before:
            raise Wrong(f"revision {revision} after {before}")
        for item in self._history[before:revision]:
            self._replica.offer(*item)
        if loaded.state.head != self._replica.head():
            raise Wrong(f"revision {revision} isn't of this history")
        if loaded.state.entities != tuple(self._replica.changes()):
            raise Wrong(f"entities differ from those of revision {revision}")
        base = revision - len(loaded.log)
        point = head_of(self._history[base - 1]) if base else EMPTY
        if loaded.log.since(point, 10**12) != self._history[base:revision]:
            raise Wrong(f"the log doesn't lead to revision {revision}")
        return revision


def kill_often(folder: Path, kills: int, seconds: float, seed: int) -> tuple[int, int]:
    """(kills, of them: such after which the file had moved on). Raises Wrong."""
    rng = random.Random(seed)
    ends = time.monotonic() + seconds
    killed = moved = rounds = 0
    while killed < kills and time.monotonic() < ends:
        rounds += 1
        history = list(islice(random_history(random.Random(rng.random())), HISTORY))
        checker, at = Checker(history), 0
        path = folder / f"replica{rounds}.db"
        while at < HISTORY and killed < kills and time.monotonic() < ends:
            child_seed = rng.random()
            pid = os.fork()
            if pid == 0:
                _child(path, history, random.Random(child_seed))
            time.sleep(rng.uniform(0, ALIVE_SECONDS_MAX))
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                raise Wrong(f"the writer failed with exit code {os.WEXITSTATUS(status)}")
            reached = checker.check(path)
            killed, moved, at = killed + 1, moved + (reached > at), reached
    return killed, moved


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.store.replica_killing")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        try:
            killed, moved = kill_often(Path(folder), options.kills, options.seconds, seed)
        except Exception as error:
            print(f"with --seed {seed}: {error!r}", file=sys.stderr)
            return 1
    print(f"killed {killed} moved {moved} seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
