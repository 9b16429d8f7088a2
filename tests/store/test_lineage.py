"""Which versions are part of the history that a replica holds."""

import random
from dataclasses import dataclass, field

import pytest

from store.authority import State
from store.changeset import Change, Changeset
from store.declarative.document import read_document
from store.errors import EntityError
from store.history import EPOCHS, Epoch, Reach
from store.lineage import decode_record, encode_record, reach
from store.off import state_of, tag_of
from store.replica import Replica
from store.schema import kinds, schema
from store.version import EMPTY, Head, Version
from tests.store.replica_history import changeset, head_of, service

T, A, B = 7, 2**64 - 1, 5
"""Tags of epochs."""


def head(epoch: int, tag: int, revision: int) -> Head:
    return Head(Version(epoch, tag, revision), bytes([epoch, revision]) * 16)


def record(epoch: int, tag: int, fork: int, kept: Head, abandoned: Head) -> Epoch:
    return Epoch(epoch, tag, fork, kept, abandoned, 1_700_000_000.5, "n1")


LOST_AT_8 = record(2, A, 8, head(1, T, 8), head(1, T, 10))
LOST_AT_14 = record(3, B, 14, head(2, A, 14), head(2, A, 20))
BACK_TO_5 = record(3, B, 5, head(1, T, 5), head(2, A, 20))
REUSED_FROM_6 = record(2, A, 5, head(1, T, 9), head(1, T, 10))


@pytest.mark.parametrize(
    ("at", "version", "epochs", "expected"),
    [
        ((1, T, 5), (1, T, 5), (), "reached"),
        ((1, T, 5), (1, T, 4), (), "reached"),
        ((1, T, 5), (1, T, 6), (), "behind"),
        ((1, T, 5), (2, A, 1), (), "behind"),
        ((1, T, 5), (0, 0, 0), (), "reached"),
        ((2, A, 9), (1, T, 8), (LOST_AT_8,), "reached"),
        ((2, A, 9), (1, T, 9), (LOST_AT_8,), "forked"),
        ((2, A, 9), (2, A, 10), (LOST_AT_8,), "behind"),
        ((2, A, 9), (2, B, 9), (LOST_AT_8,), "forked"),  # of a lower tag
        ((2, B, 9), (2, A, 3), (), "behind"),  # that is where it will go
        ((2, A, 9), (1, B, 8), (LOST_AT_8,), "forked"),
        ((3, B, 15), (1, T, 8), (LOST_AT_14, LOST_AT_8), "reached"),
        ((3, B, 15), (1, T, 9), (LOST_AT_14, LOST_AT_8), "forked"),
        ((3, B, 15), (2, A, 14), (LOST_AT_14, LOST_AT_8), "reached"),
        ((3, B, 15), (2, A, 15), (LOST_AT_14, LOST_AT_8), "forked"),
        ((3, B, 6), (1, T, 5), (BACK_TO_5,), "reached"),
        ((3, B, 6), (1, T, 6), (BACK_TO_5,), "forked"),
        ((3, B, 6), (2, A, 5), (BACK_TO_5,), "forked"),
        ((2, A, 10), (1, T, 5), (REUSED_FROM_6,), "reached"),
        ((2, A, 10), (1, T, 9), (REUSED_FROM_6,), "forked"),  # it stands for two contents
    ],
)
def test_how_far_a_head_reaches(
    at: tuple[int, int, int],
    version: tuple[int, int, int],
    epochs: tuple[Epoch, ...],
    expected: Reach,
) -> None:
    assert reach(Version(*at), Version(*version), epochs) == expected


@dataclass
class Database:
    """One that loses what it has, and is raised now at once, now later, by who knows all."""

    rng: random.Random
    log: list[Head] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    issued: dict[Version, set[bytes]] = field(default_factory=dict)
    confirmed: list[Head] = field(default_factory=list)
    """The history of whoever will raise; its last one is the highest of all."""
    known: list[Epoch] = field(default_factory=list)
    """The records of that history."""

    @property
    def head(self) -> Head:
        return self.log[-1] if self.log else head(1, T, 0)

    def write(self) -> None:
        epoch, tag, revision = self.head.version
        before = self.log[:]
        self._append(Version(epoch, tag, revision + 1))
        if self.confirmed == before:
            self.confirmed = self.log[:]

    def lose(self) -> None:
        keep = self.rng.randrange(len(self.log) + 1)
        self.log = self.log[:keep]
        self.epochs = [epoch for epoch in self.epochs if epoch.kept.version.revision < keep]

    def raise_(self) -> None:
        """Unless what it confirmed is part of this history."""
        if self.confirmed == self.log[: len(self.confirmed)]:
            self.confirmed, self.known = self.log[:], self.epochs[:]
            return
        pairs = zip(self.log, self.confirmed, strict=False)
        shared = sum(mine == theirs for mine, theirs in pairs)
        lost = [epoch.fork_revision for epoch in self.known if epoch not in self.epochs]
        shared = min((shared, *lost))
        kept, abandoned = self.head, self.confirmed[-1]
        epoch = 1 + max(kept.version.epoch, abandoned.version.epoch)
        tag = self.rng.getrandbits(64)
        self.epochs.append(record(epoch, tag, shared, kept, abandoned))
        self._append(Version(epoch, tag, kept.version.revision + 1))
        self.confirmed, self.known = self.log[:], self.epochs[:]

    def _append(self, version: Version) -> None:
        self.log.append(Head(version, self.rng.randbytes(32)))
        self.issued.setdefault(version, set()).add(self.log[-1].digest)


@pytest.mark.parametrize("seed", range(50))
def test_what_was_lost_is_never_taken_for_held(seed: int) -> None:
    rng = random.Random(seed)
    database = Database(rng)
    lost_unseen = rng.random() < 0.5
    """Whether others write before somebody raises."""
    for _ in range(60):
        if rng.random() < 0.1:
            database.lose()
            for _ in range(rng.randrange(5) if lost_unseen else 0):
                database.write()
            database.raise_()
        database.write()
    kept = {one.version: one.digest for one in database.log}
    at, epochs = database.log[-1].version, sorted(database.epochs, reverse=True)
    for version, contents in database.issued.items():
        found = reach(at, version, epochs)
        if found == "reached":
            assert contents == {kept[version]}, version
        elif not lost_unseen:
            assert version not in kept, version


def test_a_record_is_read_as_it_was_written() -> None:
    text = encode_record("an-id", LOST_AT_8)
    assert decode_record(text) == LOST_AT_8
    assert decode_record(text.replace("{", '{"later":1,', 1)) == LOST_AT_8


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "nothing", encode_record("i", LOST_AT_8).replace("0000000000000007", "seven")],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_record(text)


def test_no_api_and_no_document_knows_the_kind() -> None:
    """Paths, exports and imports are made of the kinds that have a schema."""
    assert EPOCHS not in kinds()
    with pytest.raises(KeyError):
        schema(EPOCHS)
    with pytest.raises(EntityError) as caught:
        read_document(f"_format_version: '3.0'\n{EPOCHS}: []")
    assert caught.value.fields == {EPOCHS: "unknown field"}


# The replica


def raised_after(at: Head, epoch: Epoch) -> Changeset:
    change = Change(EPOCHS, f"record-{epoch.epoch}", encode_record(f"record-{epoch.epoch}", epoch))
    return changeset(at, change, epoch=epoch.epoch, tag=epoch.tag)


def history(replica: Replica, count: int, after: Head = EMPTY, **version: int) -> list[Head]:
    heads = []
    for number in range(count):
        item = changeset(after, service(number), **version)
        assert replica.offer(*item) == "applied"
        after = head_of(item)
        heads.append(after)
    return heads


def test_a_raise_that_follows_its_head_is_applied() -> None:
    replica = Replica("a")
    (_, second) = history(replica, 2)
    epoch = record(2, B, 2, second, head(1, T, 9))
    raised = raised_after(second, epoch)
    before = replica.state_hash()
    assert replica.offer(*raised) == "applied"
    assert replica.epochs() == (epoch,)
    assert replica.state_hash() != before
    assert replica.reach(second.version) == "reached"
    history(replica, 2, head_of(raised), epoch=2, tag=B)


def test_a_raise_of_a_history_that_it_has_not_is_never_applied() -> None:
    replica, other = Replica("a"), Replica("a")
    shared = history(replica, 3)
    history(other, 3)
    history(replica, 2, shared[-1])  # which the database then loses
    assert replica.offer(*raised_after(shared[-1], record(2, B, 3, shared[-1], EMPTY))) == "forked"
    reused = changeset(shared[-1], service(30))
    assert other.offer(*reused) == "applied"
    raised = raised_after(head_of(reused), record(2, B, 3, head_of(reused), EMPTY))
    assert other.offer(*raised) == "applied"
    assert replica.offer(*reused) == "forked"
    assert replica.offer(*raised) == "forked"
    above = changeset(head_of(raised), service(31), epoch=2, tag=B)
    assert replica.offer(*above) == "forked"
    assert replica.head()[0].revision == 5


def test_a_snapshot_brings_the_records() -> None:
    source, replica = Replica("a"), Replica("a")
    (first,) = history(source, 1)
    source.offer(*raised_after(first, record(2, B, 1, first, head(1, T, 9))))
    version, digest = source.head()
    installation = replica.begin_install(version, digest, source.state_hash() or b"")
    assert all(installation.feed(data) for data in source.give().slices(1_000))
    assert installation.finish() == "installed"
    assert replica.epochs() == source.epochs() != ()


def test_a_record_that_can_not_be_read_is_passed_over() -> None:
    replica = Replica("a")
    replica.load(State(head(2, B, 9), (Change(EPOCHS, "later", '{"id":"later"}'),)))
    assert replica.epochs() == ()


def test_the_heads_that_are_remembered_come_newest_first_down_to_the_base() -> None:
    replica = Replica("a")
    assert replica.heads(10) == (EMPTY,)
    heads = history(replica, 3)
    assert replica.heads(10) == (*heads[::-1], EMPTY)
    assert replica.heads(2) == (heads[2], heads[1])
    replica.load(State(head(2, B, 9), ()))
    assert replica.heads(10) == (head(2, B, 9),)


# Documents (database = off)


class Nothing:
    """A document of no entities."""

    def changes(self) -> tuple[Change, ...]:
        return ()


def holding(text: bytes, epoch: int) -> Replica:
    replica = Replica("a")
    replica.load(state_of(Nothing(), text, epoch))  # type: ignore[arg-type]
    return replica


def test_of_an_older_document_nothing_is_left() -> None:
    replica = holding(b"new", 3)
    assert replica.reach((3, tag_of(b"new"), 1)) == "reached"
    assert replica.reach((2, tag_of(b"old"), 1)) == "forked"
    assert replica.reach((2, tag_of(b"new"), 1)) == "reached", "the same, given before"
    assert replica.reach((4, tag_of(b"next"), 1)) == "behind"


def test_of_two_documents_accepted_at_once_the_one_with_the_lower_tag_is_lost() -> None:
    low, high = sorted((b"one", b"two"), key=tag_of)
    assert holding(high, 2).reach((2, tag_of(low), 1)) == "forked"
    assert holding(low, 2).reach((2, tag_of(high), 1)) == "behind"
