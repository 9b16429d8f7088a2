"""The replica's file: what is written is what is read, or damage is told (DESIGN 5)."""

import random
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from store.authority import State
from store.changeset import Change, Changeset
from store.history import EPOCHS, Epoch
from store.lineage import encode_record
from store.replica import Replica
from store.replica_file.aside import kept_aside, set_aside
from store.replica_file.file import ReplicaFile, problem_of
from store.replica_file.layout import FileDamaged, OutOfStep
from store.version import EMPTY, Head, Version
from tests.store.replica_history import changeset, head_of, random_history, read_file, service

AUTHORITY = "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replica.db"


@pytest.fixture
def file(path: Path) -> Iterator[ReplicaFile]:
    file = ReplicaFile(path)
    yield file
    file.close()


def write_whole(file: ReplicaFile, replica: Replica) -> None:
    whole = file.begin_whole()
    changes = list(replica.changes())
    for start in range(0, len(changes), 7):
        whole.write(changes[start : start + 7])
    whole.finish(replica_head(replica), AUTHORITY)


def replica_head(replica: Replica) -> Head:
    return Head(*replica.head())


def loaded_state(file: ReplicaFile) -> State:
    found = read_file(file)
    assert found is not None
    return found.state


def filled(file: ReplicaFile, count: int = 50) -> tuple[Replica, list[Changeset]]:
    """A replica after some changesets, and the file at the same version."""
    replica = Replica(AUTHORITY)
    history = list(islice(random_history(random.Random(1)), count))
    for item in history[:10]:
        assert replica.offer(*item) == "applied"
    write_whole(file, replica)
    for item in history[10:]:
        assert replica.offer(*item) == "applied"
    for start in range(10, count, 7):
        batch = history[start : start + 7]
        file.write_batch(head_of(history[start - 1]), batch, AUTHORITY)
    return replica, history


def test_nothing_stands_in_a_new_file(file: ReplicaFile) -> None:
    assert file.about() is None
    assert read_file(file) is None


def test_the_records_of_raised_epochs_are_read_after_a_restart(
    file: ReplicaFile, path: Path
) -> None:
    _, history = filled(file)
    kept = head_of(history[-1])
    epoch = Epoch(2, 5, 50, kept, Head(Version(1, kept.version.tag, 60), bytes(32)), 1.0, "n")
    raised = changeset(kept, Change(EPOCHS, "r", encode_record("r", epoch)), epoch=2, tag=5)
    above = changeset(head_of(raised), service(1), epoch=2, tag=5)
    file.write_batch(kept, [raised, above], AUTHORITY)
    file.close()
    found = read_file(ReplicaFile(path))
    assert found is not None
    again = Replica(AUTHORITY)
    again.load(found.state, found.log)
    assert again.head() == head_of(above)
    assert again.epochs() == (epoch,)
    assert again.reach(kept.version) == "reached"
    assert again.heads(2) == (head_of(above), head_of(raised))


def test_what_was_written_is_read_after_a_restart(file: ReplicaFile, path: Path) -> None:
    replica, history = filled(file)
    file.close()
    loaded = read_file(ReplicaFile(path))
    assert loaded is not None
    assert loaded.state.head == replica_head(replica)
    assert loaded.state.entities == tuple(replica.changes())
    assert loaded.authority_id == AUTHORITY
    assert loaded.is_fit
    assert loaded.log.since(head_of(history[9]), 10**9) == history[10:]


def test_a_batch_that_does_not_follow_changes_nothing(file: ReplicaFile) -> None:
    _, history = filled(file)
    before = loaded_state(file)
    with pytest.raises(OutOfStep):
        file.write_batch(head_of(history[3]), history[4:5], AUTHORITY)
    with pytest.raises(OutOfStep):
        file.write_batch(EMPTY, history[:1], AUTHORITY)
    assert loaded_state(file) == before


def test_a_batch_written_twice_is_written_once(file: ReplicaFile) -> None:
    replica, history = filled(file)
    item = changeset(head_of(history[-1]), service(1, retries=3))
    for _ in range(2):
        file.write_batch(head_of(history[-1]), [item], AUTHORITY)
    assert replica.offer(*item) == "applied"
    assert loaded_state(file).entities == tuple(replica.changes())


def test_until_everything_is_written_anew_what_was_there_holds(file: ReplicaFile) -> None:
    replica, _ = filled(file)
    whole = file.begin_whole()
    whole.write([service(999)])
    assert loaded_state(file).entities == tuple(replica.changes())


def test_the_log_is_bounded_and_what_is_left_still_leads_to_the_head(
    file: ReplicaFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.replica_file.file.LOG_CHANGESETS_MAX", 12)
    _, history = filled(file)
    loaded = read_file(file)
    assert loaded is not None
    assert loaded.log.since(head_of(history[-13]), 10**9) == history[-12:]
    assert loaded.log.since(head_of(history[-14]), 10**9) is None


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE entities_0 SET text = replace(text, 'retries', 'retires')",
        "DELETE FROM entities_0 WHERE id = (SELECT min(id) FROM entities_0)",
        "INSERT INTO entities_0 VALUES ('services', 'x', '{}', 5)",
        "UPDATE about SET revision = revision - 1",
        "UPDATE about SET side = 1",
        "UPDATE about SET rest = x'00'",
        "DELETE FROM log_0 WHERE revision = 20",
        "UPDATE log_0 SET body = x'90' WHERE revision = 21",
        "UPDATE log_0 SET epoch = 7 WHERE revision = 21",
        "UPDATE log_0 SET tag = x'00' WHERE revision = 21",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 77",
        "DROP TABLE entities_0",
        "DROP TABLE about",
    ],
)
def test_harm_of_any_kind_is_told(file: ReplicaFile, path: Path, harm: str) -> None:
    filled(file)
    file.close()
    with sqlite3.connect(path) as connection:
        connection.execute(harm)
    connection.close()
    with pytest.raises((FileDamaged, sqlite3.Error)) as caught:
        read_file(ReplicaFile(path))
    assert problem_of(caught.value) == "damage"


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_or_cut_page_is_told_or_without_effect(
    file: ReplicaFile, path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    replica, _ = filled(file)
    file.close()
    data = bytearray(path.read_bytes())
    where = rng.randrange(len(data))
    if seed % 4 == 0:
        del data[where:]
    elif seed % 4 == 1:
        page = where // 4096 * 4096
        data[page : page + 4096] = bytes(4096)
    else:
        data[where] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    problem, loaded = None, None
    try:
        loaded = read_file(ReplicaFile(path))
    except (FileDamaged, sqlite3.Error) as error:
        problem = problem_of(error)
    assert problem in (None, "damage")
    if loaded is not None:
        assert loaded.state.entities == tuple(replica.changes())


def test_files_set_aside_are_dated_and_the_newest_two_are_kept(path: Path) -> None:
    for day in range(1, 5):
        file = ReplicaFile(path)
        write_whole(file, filled_replica(day))
        file.close()
        set_aside(path, f"2026110{day}T120000Z")
        assert not path.exists()
    assert [item.name for item in kept_aside(path)] == [
        "replica.db.20261103T120000Z",
        "replica.db.20261104T120000Z",
    ]
    set_aside_again(path)


def set_aside_again(path: Path) -> None:
    """Two within one second get two names."""
    for _ in range(2):
        path.write_bytes(b"no replica")
        set_aside(path, "20261105T120000Z")
    assert len(kept_aside(path)) == 2


def filled_replica(count: int) -> Replica:
    replica = Replica(AUTHORITY)
    for item in islice(random_history(random.Random(count)), count):
        replica.offer(*item)
    return replica


def test_a_log_that_a_crash_left_alone_is_not_replayed_into_a_new_file(
    file: ReplicaFile, path: Path
) -> None:
    filled(file)
    wal = path.with_name("replica.db-wal")
    left = wal.read_bytes()
    assert left
    file.close()
    path.unlink()
    wal.write_bytes(left)
    assert read_file(ReplicaFile(path)) is None


def test_a_file_that_is_none_is_told(path: Path) -> None:
    path.write_bytes(b"x" * 10_000)
    with pytest.raises((FileDamaged, sqlite3.Error)) as caught:
        ReplicaFile(path)
    assert problem_of(caught.value) == "damage"


def test_kinds_nobody_knows_are_kept(file: ReplicaFile) -> None:
    replica, _ = filled(file)
    gadgets = [change for change in replica.changes() if change.kind == "gadgets"]
    assert gadgets
    write_whole(file, replica)
    assert [item for item in loaded_state(file).entities if item.kind == "gadgets"] == gadgets
