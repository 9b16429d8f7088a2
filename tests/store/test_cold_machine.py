"""A revoked credential never comes back, and a new one is never denied: whatever the disk does.

A worker, its agent and the replica file do what they do in any order. What a look-up finds must be
exactly what the worker's version holds; that it can't be told now is allowed while the file lags,
and no longer once everything is written.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from store.authority import State
from store.canonical import decode_entity
from store.changeset import Change, Changeset, decode_body
from store.cold import limits
from store.cold.reader import Ahead, ColdReader, Found, Reading
from store.cold.sqlite_file import SqliteColdFile
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.version import Head, Version
from tests.rings import first_few
from tests.store.keycards import KIND, card_id, keycard, known_keycards, no_keycard
from tests.store.replica_history import changeset, head_of

NUMBERS = st.integers(0, 5)
KEYS = st.sampled_from(["k0", "k1", "k2", "k3"])
OWNERS = st.sampled_from(["c0", "c1"])

Truth = dict[str, Change]
Frame = Callable[[], None]


class ColdMachine(RuleBasedStateMachine):
    """``truth`` is the agent's, ``served`` the worker's."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.known = known_keycards()
        self.known.__enter__()
        self.path = Path(self.folder.name) / "replica.db"
        self.now = 1_000.0
        self.epoch = 1
        self.replica = Replica("a")
        self.truth: Truth = {}
        self.served: Truth = {}
        self.frames: list[Frame] = []
        self.waiting: list[Changeset] = []
        self.file = ReplicaFile(self.path, draw_fill=self._fill)
        self.fills = 0
        self.file_head: Head | None = None
        self.is_vouched = False
        self.had_worker = False
        self.source: SqliteColdFile
        self.start_worker()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.source.close()
            self.file.close()
            self.folder.cleanup()
            self.known.__exit__(None, None, None)

    def _fill(self) -> bytes:
        self.fills += 1
        return self.fills.to_bytes(16, "big")

    def head(self) -> Head:
        return Head(*self.replica.head())

    # What the agent does

    def commit(self, *changes: Change) -> None:
        item = changeset(self.head(), *changes, epoch=self.epoch, tag=self.epoch)
        assert self.replica.offer(*item) == "applied"
        self.waiting.append(item)
        self.truth = dict(self.truth)
        for change in changes:
            if change.entity is None:
                self.truth.pop(change.id, None)
            else:
                self.truth[change.id] = change
        self._to_worker_apply(item.version, changes, self.truth)

    def _to_worker_apply(self, version: Version, changes: tuple[Change, ...], truth: Truth) -> None:
        def deliver() -> None:
            self.reader.apply(version, changes)
            self.served = truth

        self.frames.append(deliver)

    @rule(number=NUMBERS, key=KEYS, owner=OWNERS, ends=st.sampled_from([None, None, 5, 50]))
    def put(self, number: int, key: str, owner: str, ends: int | None) -> None:
        """Whoever had the key loses it in the same changeset."""
        holders = [change for change in self.truth.values() if _of(change)["key"] == key]
        revoked = [no_keycard(_number(one)) for one in holders if one.id != card_id(number)]
        expires_at = None if ends is None else int(self.now) + ends
        self.commit(*revoked, keycard(number, key, owner, expires_at))

    @rule(number=NUMBERS)
    def revoke(self, number: int) -> None:
        self.commit(no_keycard(number))

    @rule(one=NUMBERS, other=NUMBERS)
    def swap(self, one: int, other: int) -> None:
        first, second = self.truth.get(card_id(one)), self.truth.get(card_id(other))
        if first is not None and second is not None and one != other:
            self.commit(keycard(one, _of(second)["key"]), keycard(other, _of(first)["key"]))

    @rule(seconds=st.sampled_from([1, 10, 100]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.waiting and self.file_head is not None)
    @rule(data=st.data())
    def persist(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.waiting)))
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        assert self.file_head is not None
        self.file.write_batch(self.file_head, batch, "a")
        self.file_head = head_of(batch[-1])
        self.vouch()

    @rule()
    def write_anew(self) -> None:
        whole = self.file.begin_whole()
        whole.write(list(self.replica.changes()))
        whole.finish(self.head(), "a")
        self.file_head, self.waiting, self.is_vouched = self.head(), [], True
        self.vouch()

    @rule()
    def lose_the_file(self) -> None:
        """Set aside as damaged, and not written again yet."""
        self.file.close()
        self.path.unlink()
        self.file = ReplicaFile(self.path, draw_fill=self._fill)
        self.file_head, self.waiting, self.is_vouched = None, [], False

    def vouch(self) -> None:
        about = self.file.about()
        if about is not None and self.is_vouched:
            self.frames.append(lambda: self.reader.vouched(about.fill, about.head.version))

    @rule(keep=st.sets(NUMBERS), epochs=st.sampled_from([0, 1]))
    def restore_a_backup(self, keep: set[int], epochs: int) -> None:
        """Another whole state, maybe of a lower version, and of another history."""
        self.epoch += epochs
        self.truth = {
            change.id: change for change in self.truth.values() if _number(change) in keep
        }
        revision = max(1, self.head().version.revision - 2)
        digest = random.Random(f"{self.epoch}{revision}{keep}").randbytes(32)
        head = Head(Version(self.epoch, self.epoch, revision), digest)
        entities = tuple(sorted(self.truth.values()))
        self.replica.load(State(head, entities))
        self.waiting, self.file_head, self.is_vouched = [], None, False
        self.feed()

    @rule()
    def restart_agent(self) -> None:
        """It starts from the file, and catches up with the authority change by change."""
        if self.file_head is None or not self.is_vouched:
            return
        behind = list(self.waiting)
        self.file.close()
        self.file = ReplicaFile(self.path, draw_fill=self._fill)
        entities: list[Change] = []
        loaded = self.file.load(entities.extend)
        assert loaded is not None
        self.replica.load(State(loaded.about.head, tuple(entities)))
        self.truth = {one.id: one for one in entities}
        self.waiting = []
        self.start_worker()
        for item in behind:
            self.commit(*_changes(item))

    # The worker

    @rule()
    def start_worker(self) -> None:
        if self.had_worker:
            self.source.close()
        self.had_worker = True
        self.source = SqliteColdFile(self.path)
        self.reader = ColdReader(self.source)
        self.frames, self.served = [], {}
        self.feed()
        while self.frames:  # it serves once it was given a state
            self.deliver()

    def feed(self) -> None:
        version, truth = self.head().version, self.truth

        def deliver() -> None:
            self.reader.loaded(version)
            self.served = truth

        self.frames.append(deliver)
        self.vouch()

    @precondition(lambda self: self.frames)
    @rule()
    def deliver(self) -> None:
        self.frames.pop(0)()

    # Requests

    def expected(self, field: str, value: str) -> list[str]:
        found = []
        for change in self.served.values():
            entity = _of(change)
            held = entity[field]["id"] if field == "consumer" else entity[field]
            is_live = entity["expires_at"] is None or entity["expires_at"] > self.now
            if held == value and is_live:
                found.append(change.entity)
        return sorted(text for text in found if text is not None)

    def look_up(self, field: str, value: str) -> Any:
        answer = self.reader.find(KIND, field, value, self.now)
        self.check(answer, field, value)
        return answer

    def check(self, answer: Any, field: str, value: str) -> None:
        if isinstance(answer, Found):
            assert sorted(answer.texts) == self.expected(field, value)
        elif isinstance(answer, Ahead):
            assert answer.version > self.reader.version

    @rule(key=KEYS)
    def use(self, key: str) -> None:
        self.look_up("key", key)

    @rule(owner=OWNERS)
    def use_groups(self, owner: str) -> None:
        self.look_up("consumer", owner)

    @rule(number=NUMBERS)
    def use_id(self, number: int) -> None:
        self.look_up("id", card_id(number))

    @rule(key=KEYS)
    def ask_the_agent(self, key: str) -> None:
        """The answer comes after whatever was sent before, and others after it."""
        rows = tuple(
            (one.id, one.entity or "") for one in self.truth.values() if _of(one)["key"] == key
        )
        reading = Reading(None, self.head().version, rows)

        def deliver() -> None:
            self.check(self.reader.settle(KIND, "key", key, reading, self.now), "key", key)

        self.frames.append(deliver)

    @rule(key=KEYS)
    def once_all_is_written_everything_is_settled(self, key: str) -> None:
        self.write_anew()
        while self.frames:
            self.deliver()
        assert isinstance(self.look_up("key", key), Found)
        assert isinstance(self.look_up("consumer", "c1"), Found)

    @invariant()
    def bounds_hold(self) -> None:
        if hasattr(self, "reader"):
            assert len(self.reader._cache) <= limits.CACHE_ANSWERS_MAX


def _of(change: Change) -> dict[str, Any]:
    assert change.entity is not None
    return decode_entity(change.entity)


def _number(change: Change) -> int:
    return int(change.id[-12:])


def _changes(item: Changeset) -> tuple[Change, ...]:
    return decode_body(item.body).changes


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        ColdMachine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


@pytest.mark.parametrize("room", first_few([3, 1_000]))
def test_look_ups_are_exactly_of_the_version_served(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with an overlay and a cache that are full all the time."""
    monkeypatch.setattr(limits, "OVERLAY_ENTITIES_MAX", room)
    monkeypatch.setattr(limits, "CACHE_ANSWERS_MAX", room)
    run(examples=60, steps=50)
