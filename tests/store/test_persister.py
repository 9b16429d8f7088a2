"""What of the replica is written when (DESIGN 5): decided without a disk, in virtual time."""

import random
from itertools import islice

import pytest

from store.changeset import Changeset
from store.replica_file import persister as persister_module
from store.replica_file.limits import (
    BATCH_PAUSE_SECONDS,
    FULL_BATCH_PAUSE_SECONDS,
    RETRY_SECONDS,
)
from store.replica_file.persister import Batch, Persister, Whole
from store.version import EMPTY
from tests.store.replica_history import head_of, random_history

HISTORY: list[Changeset] = list(islice(random_history(random.Random(3)), 40))
HEADS = [EMPTY, *map(head_of, HISTORY)]


def follower(at: int = 10) -> Persister:
    """One whose file is at this revision."""
    return Persister(HEADS[at], "a")


def feed(persister: Persister, start: int, end: int) -> None:
    for item in HISTORY[start:end]:
        persister.applied(item)


def test_nothing_new_needs_no_writing() -> None:
    persister = follower()
    assert persister.next(0) is None
    assert persister.deadline() is None


def test_what_was_applied_is_written_at_once_and_what_comes_meanwhile_next() -> None:
    persister = follower()
    feed(persister, 10, 11)
    assert persister.next(0) == Batch(HEADS[10], (HISTORY[10],), "a")
    feed(persister, 11, 14)
    assert persister.next(1) is None, "one thing is written at a time"
    persister.written(1, HEADS[11])
    assert persister.next(1) is None, "bursts gather for a moment"
    assert persister.deadline() == 1 + BATCH_PAUSE_SECONDS
    assert persister.next(2) == Batch(HEADS[11], tuple(HISTORY[11:14]), "a")


def test_while_as_much_waits_as_goes_into_a_batch_the_next_one_comes_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(persister_module, "BATCH_CHANGESETS_MAX", 2)
    persister = follower()
    feed(persister, 10, 15)
    persister.next(0)
    persister.written(1, HEADS[12])
    assert persister.deadline() == 1 + FULL_BATCH_PAUSE_SECONDS
    persister.next(2)
    persister.written(2, HEADS[14])
    assert persister.deadline() == 2 + BATCH_PAUSE_SECONDS


def test_without_a_file_everything_is_written_then_what_came_meanwhile() -> None:
    persister = Persister(None, "a")
    feed(persister, 0, 5)
    assert persister.next(0) == Whole("a", set_aside=False)
    feed(persister, 5, 7)
    persister.written(1, HEADS[5])
    assert persister.next(2) == Batch(HEADS[5], tuple(HISTORY[5:7]), "a")


def test_another_state_is_written_as_a_whole_even_while_a_batch_is_under_way() -> None:
    persister = follower()
    feed(persister, 10, 12)
    persister.next(0)
    persister.replaced()
    persister.written(1, HEADS[12])
    assert persister.next(2) == Whole("a", set_aside=False)
    persister.written(3, HEADS[20])
    assert persister.next(4) is None


@pytest.mark.parametrize("bound", ["PENDING_CHANGESETS_MAX", "PENDING_BYTES_MAX"])
def test_beyond_the_bound_nothing_waits_any_more_and_everything_is_written_anew(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"PENDING_CHANGESETS_MAX": 8, "PENDING_BYTES_MAX": len(HISTORY[10].body) + 1}
    monkeypatch.setattr(persister_module, bound, sizes[bound])
    persister = follower()
    feed(persister, 10, 11)
    persister.next(0)
    feed(persister, 11, 30)
    assert persister.waiting == 0
    assert persister.overflows == 1
    persister.written(1, HEADS[11])
    assert persister.next(2) == Whole("a", set_aside=False)


def test_a_failing_disk_is_tried_ever_less_often_with_the_same_changesets() -> None:
    persister = follower()
    feed(persister, 10, 11)
    now = 0.0
    for pause in (*RETRY_SECONDS, RETRY_SECONDS[-1]):
        job = persister.next(now)
        assert job == Batch(HEADS[10], (HISTORY[10],), "a")
        persister.failed(now, "disk")
        assert persister.next(now + pause * 0.99) is None
        now += pause
    feed(persister, 11, 12)
    assert persister.next(now) == Batch(HEADS[10], tuple(HISTORY[10:12]), "a")
    persister.written(now, HEADS[12])
    assert persister.failures == 0


def test_a_file_that_is_elsewhere_is_written_anew_at_once() -> None:
    persister = follower()
    feed(persister, 10, 11)
    persister.next(0)
    persister.failed(0, "step")
    assert persister.next(0) == Whole("a", set_aside=False)


def test_a_damaged_file_is_set_aside_and_written_anew_but_not_in_a_busy_loop() -> None:
    persister = follower()
    feed(persister, 10, 11)
    persister.next(0)
    persister.failed(0, "damage")
    assert persister.next(0) == Whole("a", set_aside=True)
    persister.failed(0, "damage")
    assert persister.next(RETRY_SECONDS[1] * 0.99) is None
    assert persister.next(RETRY_SECONDS[1]) == Whole("a", set_aside=True)
    persister.written(9, HEADS[11])
    feed(persister, 11, 12)
    assert persister.next(10) == Batch(HEADS[11], (HISTORY[11],), "a")


def test_a_whole_write_that_failed_is_done_again_with_what_came_meanwhile() -> None:
    persister = Persister(None, "a")
    persister.replaced()
    persister.next(0)
    feed(persister, 10, 12)
    persister.failed(0, "disk")
    assert persister.waiting == 0
    assert persister.next(RETRY_SECONDS[0]) == Whole("a", set_aside=False)


def test_an_authority_that_becomes_known_is_noted() -> None:
    persister = Persister(HEADS[10], "")
    persister.identified("a")
    assert persister.next(0) == Batch(HEADS[10], (), "a")
    persister.written(0, HEADS[10])
    assert persister.next(1) is None


def test_a_file_of_another_authority_is_set_aside_before_anything_is_written() -> None:
    persister = follower()
    persister.identified("b")
    persister.abandon()
    feed(persister, 0, 1)
    assert persister.next(0) == Whole("b", set_aside=True)
