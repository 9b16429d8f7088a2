"""What may happen to a simulated SQLite file, and what its users are told."""

import random
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from simulations.authority.loop import ProcessLoop
from simulations.authority.sqlite import Fate, SqliteFile, SqliteModel
from simulations.clock import Clock
from store.authority import Committed, Create
from store.errors import AuthorityUnavailable
from store.limits import BUSY_SECONDS_MAX

Result = TypeVar("Result")


class Machine:
    """One file, and processes that share it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.rng = random.Random(1)
        self.file = SqliteFile.bootstrapped(self.clock, self.rng)
        self.loop = ProcessLoop.on(self.clock)
        self.deaths = 0
        self.model = self.open(self.file)

    def open(self, file: SqliteFile) -> SqliteModel:
        model = SqliteModel(
            file,
            clock=lambda: 1_700_000_000.0 + self.clock.now,
            draw_write_id=lambda: self.rng.randbytes(16),
            new_id=lambda: str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            died=self.died,
        )
        self.wait(model.open())
        return model

    def died(self) -> None:
        self.deaths += 1

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = self.loop.create_task(work)
        assert self.clock.run_until(task.done, 60.0) is not None
        return task.result()

    def write(self, model: SqliteModel | None = None) -> Committed:
        mutations = [Create("services", {"host": "h"})]
        return self.wait((model or self.model).write(mutations, origin=""))

    def revision(self, model: SqliteModel | None = None) -> int:
        return self.wait((model or self.model).head()).version.revision


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_writer_waits_for_a_lock_that_is_given_back_in_time(machine: Machine) -> None:
    machine.file.lock(3.0)
    assert machine.revision() == 0  # readers don't wait
    begun = machine.clock.now
    assert machine.write().head.version.revision == 1
    assert 2.9 < machine.clock.now - begun < 3.1


def test_a_lock_that_is_kept_is_told_after_its_time(machine: Machine) -> None:
    machine.file.lock(60.0)
    begun = machine.clock.now
    with pytest.raises(AuthorityUnavailable, match="locked by another process for over 5 s"):
        machine.write()
    assert BUSY_SECONDS_MAX <= machine.clock.now - begun < BUSY_SECONDS_MAX + 1.0
    assert machine.revision() == 0


@pytest.mark.parametrize("fate", ["done", "undone"])
def test_a_commit_that_reports_an_error_is_looked_up(machine: Machine, fate: Fate) -> None:
    machine.file.next_commit = fate
    assert machine.write().head.version.revision == 1
    assert machine.revision() == 1


def test_a_disk_that_fails_is_told_with_its_words(machine: Machine) -> None:
    machine.file.broken = "disk I/O error"
    with pytest.raises(AuthorityUnavailable, match=r"authority\.db: disk I/O error"):
        machine.write()
    machine.file.broken = ""
    assert machine.write().head.version.revision == 1


@pytest.mark.parametrize("statements", range(3))
def test_a_process_that_dies_in_its_transaction_leaves_nothing(
    machine: Machine, statements: int
) -> None:
    other = machine.open(machine.file)
    machine.file.dies_after = statements
    machine.loop.create_task(machine.model.write([Create("services", {"host": "h"})], origin=""))
    machine.clock.run(1.0)
    assert machine.deaths == 1
    assert machine.revision(other) == 0
    assert machine.write(other).head.version.revision == 1
    machine.loop.kill()


def test_a_restored_file_is_as_it_was_and_a_copy_goes_its_own_way(machine: Machine) -> None:
    machine.write()
    image, copy = machine.file.image(), machine.open(machine.file.copy())
    machine.write()
    assert (machine.revision(), machine.revision(copy)) == (2, 1)
    machine.file.restore(image)
    assert machine.revision() == 1
    assert machine.wait(machine.model.state()) == machine.wait(copy.state())
    machine.write()
    assert machine.revision(copy) == 1
