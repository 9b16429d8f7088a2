"""The piggyback queue."""

import pytest

from gossip import limits
from gossip.updates import Updates

CLAIM = b"x" * 50


def test_a_claim_is_sent_a_bounded_number_of_times() -> None:
    updates = Updates(retransmit_mult=4)
    updates.put("a", CLAIM)
    assert sum(len(updates.take(1000, members=9)) for _ in range(100)) == 4
    updates.put("a", CLAIM)
    assert sum(len(updates.take(1000, members=100)) for _ in range(100)) == 12


def test_a_newer_claim_replaces_the_older_about_the_same_member() -> None:
    updates = Updates(4)
    updates.put("a", b"old" * 20)
    updates.put("a", b"new" * 20)
    assert updates.take(1000, 9) == [b"new" * 20]
    assert len(updates) == 1


def test_the_least_sent_go_first() -> None:
    updates = Updates(4)
    updates.put("old", b"1" * 50)
    updates.take(1000, 9)
    updates.put("new", b"2" * 50)
    assert updates.take(50, 9) == [b"2" * 50]
    assert updates.take(50, 9) == [b"2" * 50], "both were sent once: the newer goes first"
    assert updates.take(50, 9) == [b"1" * 50]


def test_what_does_not_fit_leaves_room_to_smaller_claims() -> None:
    updates = Updates(4)
    updates.put("small", b"s" * 50)
    updates.put("large", b"l" * 500)
    assert updates.take(100, 9) == [b"s" * 50]


def test_the_queue_is_bounded_and_the_most_sent_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPDATES_MAX", 2)
    updates = Updates(4)
    updates.put("a", b"a" * 50)
    updates.take(1000, 9)
    updates.put("b", b"b" * 50)
    updates.put("c", b"c" * 50)
    assert sorted(updates.take(1000, 9)) == [b"b" * 50, b"c" * 50]
