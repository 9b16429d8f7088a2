"""The rules of cold look-ups, one by one (DESIGN 7)."""

from collections.abc import Iterator

import pytest

from store.canonical import decode_entity
from store.changeset import Change
from store.cold import limits
from store.cold.reader import UNSETTLED, Ahead, ColdReader, Found, Reading
from store.replica_file.layout import term_value
from store.version import Version
from tests.store.keycards import KIND, card_id, keycard, known_keycards, no_keycard

FILL, OTHER_FILL = b"f" * 16, b"o" * 16


@pytest.fixture(autouse=True)
def keycards_are_known() -> Iterator[None]:
    with known_keycards():
        yield


def v(revision: int) -> Version:
    return Version(1, 7, revision)


class File:
    """A replica file that says what it is told to."""

    def __init__(self) -> None:
        self.fill = FILL
        self.version = v(10)
        self.entities: list[Change] = []
        self.is_readable = True
        self.leads_astray = False
        """Whether each term leads to whatever there is."""
        self.reads = 0

    def read(self, kind: str, field: str, value: str) -> Reading | None:
        self.reads += 1
        if not self.is_readable:
            return None
        entities = [one for one in self.entities if one.kind == kind]
        rows = [
            (one.id, one.entity or "")
            for one in entities
            if self.leads_astray or term_value(decode_entity(one.entity or "").get(field)) == value
        ]
        return Reading(self.fill, self.version, tuple(rows))


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def reader(file: File) -> ColdReader:
    """At version 10, as the file is."""
    reader = ColdReader(file)
    reader.loaded(v(10))
    reader.vouched(FILL, v(10))
    return reader


def text(change: Change) -> Found:
    assert change.entity is not None
    return Found((change.entity,))


NOTHING = Found(())


def test_what_the_file_holds_is_found_and_read_once(file: File, reader: ColdReader) -> None:
    file.entities = [keycard(1, "a"), keycard(2, "b")]
    for _ in range(3):
        assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a"))
    assert file.reads == 1
    assert reader.find(KIND, "id", card_id(2), 0) == text(keycard(2, "b"))
    assert reader.find(KIND, "key", "none", 0) == NOTHING


def test_what_was_revoked_since_is_not_found_and_what_came_since_is(
    file: File, reader: ColdReader
) -> None:
    file.entities = [keycard(1, "a")]
    reader.apply(v(11), [no_keycard(1), keycard(2, "b")])
    assert reader.find(KIND, "key", "a", 0) == NOTHING
    assert reader.find(KIND, "id", card_id(1), 0) == NOTHING
    assert reader.find(KIND, "key", "b", 0) == text(keycard(2, "b"))


def test_a_key_that_moved_on_leads_nowhere(file: File, reader: ColdReader) -> None:
    file.entities = [keycard(1, "a")]
    assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a")), "it is cached"
    reader.apply(v(11), [keycard(1, "z")])
    assert reader.find(KIND, "key", "a", 0) == NOTHING
    assert reader.find(KIND, "key", "z", 0) == text(keycard(1, "z"))


def test_a_cached_answer_ends_with_the_change_that_touches_it(
    file: File, reader: ColdReader
) -> None:
    file.entities = [keycard(1, "a")]
    assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a"))
    reader.apply(v(11), [keycard(1, "a", "c9")])
    assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a", "c9"))
    reader.apply(v(12), [no_keycard(1)])
    assert reader.find(KIND, "key", "a", 0) == NOTHING


def test_what_the_overlay_had_a_part_in_is_not_cached(file: File, reader: ColdReader) -> None:
    file.entities = [keycard(1, "a", "c1")]
    reader.apply(v(11), [keycard(2, "b", "c1")])
    both = reader.find(KIND, "consumer", "c1", 0)
    assert isinstance(both, Found)
    assert len(both.texts) == 2
    reader.find(KIND, "consumer", "c1", 0)
    assert file.reads == 2


def test_a_file_that_leads_is_waited_for(file: File, reader: ColdReader) -> None:
    file.version = v(12)
    file.entities = [keycard(1, "a")]
    assert reader.find(KIND, "key", "a", 0) == Ahead(v(12))
    reader.apply(v(11), [])
    reader.apply(v(12), [keycard(1, "a")])
    assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a"))


def test_once_the_file_has_it_the_overlay_lets_go(file: File, reader: ColdReader) -> None:
    reader.apply(v(11), [keycard(1, "a")])
    file.version, file.entities = v(11), [keycard(1, "a")]
    reader.vouched(FILL, v(11))
    assert len(reader._overlay) == 0
    assert reader.find(KIND, "key", "a", 0) == text(keycard(1, "a"))


@pytest.mark.parametrize(
    "problem",
    ["unreadable", "another fill", "before the state", "new state", "a term leads astray"],
)
def test_what_can_not_be_relied_on_is_for_the_agent_and_never_nothing(
    file: File, reader: ColdReader, problem: str
) -> None:
    if problem == "unreadable":
        file.is_readable = False
    elif problem == "another fill":
        file.fill = OTHER_FILL
    elif problem == "before the state":
        file.version = v(9)
    elif problem == "a term leads astray":
        file.entities, file.leads_astray = [keycard(2, "b")], True
    else:
        reader.loaded(v(10))
    assert reader.find(KIND, "key", "a", 0) == UNSETTLED
    assert reader.unsettled == 1


def test_the_agents_answer_settles_it_and_is_cached(file: File, reader: ColdReader) -> None:
    file.is_readable = False
    card = keycard(1, "a")
    answer = Reading(None, v(10), ((card.id, card.entity or ""),))
    assert reader.settle(KIND, "key", "a", answer, 0) == text(card)
    assert reader.find(KIND, "key", "a", 0) == text(card)
    late = Reading(None, v(10), ())
    reader.apply(v(11), [keycard(2, "b")])
    assert reader.settle(KIND, "key", "b", late, 0) == text(keycard(2, "b"))


def test_an_answer_from_before_what_the_overlay_let_go_of_settles_nothing(
    reader: ColdReader,
) -> None:
    card = keycard(1, "a")
    answer = Reading(None, v(10), ((card.id, card.entity or ""),))
    reader.apply(v(11), [no_keycard(1)])
    reader.vouched(FILL, v(11))
    assert reader.settle(KIND, "key", "a", answer, 0) == UNSETTLED


def test_an_overlay_at_its_bound_leaves_it_to_the_agent_until_the_file_has_come_after(
    file: File, reader: ColdReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OVERLAY_ENTITIES_MAX", 2)
    file.entities = [keycard(1, "a")]
    for number in range(1, 4):
        reader.apply(v(10 + number), [no_keycard(number)])
    assert len(reader._overlay) <= 2
    assert reader.find(KIND, "key", "a", 0) == UNSETTLED
    file.version, file.entities = v(13), []
    assert reader.find(KIND, "key", "a", 0) == NOTHING


def test_what_has_expired_is_left_out_wherever_it_was_found(file: File, reader: ColdReader) -> None:
    file.entities = [keycard(1, "a", expires_at=100)]
    assert reader.find(KIND, "key", "a", 99.9) == text(keycard(1, "a", expires_at=100))
    assert reader.find(KIND, "key", "a", 100) == NOTHING, "from the cache"
    reader.apply(v(11), [keycard(2, "b", expires_at=100)])
    assert reader.find(KIND, "key", "b", 99.9) == text(keycard(2, "b", expires_at=100))
    assert reader.find(KIND, "key", "b", 100) == NOTHING, "from the overlay"


def test_the_cache_is_bounded_and_the_longest_unused_goes_first(
    file: File, reader: ColdReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CACHE_ANSWERS_MAX", 2)
    file.entities = [keycard(number, f"k{number}") for number in range(3)]
    for key in ("k0", "k1", "k0", "k2"):
        reader.find(KIND, "key", key, 0)
    reads = file.reads
    reader.find(KIND, "key", "k0", 0)
    assert file.reads == reads
    reader.find(KIND, "key", "k1", 0)
    assert file.reads == reads + 1


def test_a_cached_answer_is_read_anew_after_some_time_or_when_the_clock_was_set_back(
    file: File, reader: ColdReader
) -> None:
    """So that what bad memory has made of it doesn't stay."""
    file.entities = [keycard(1, "a")]
    start = 1_000.0
    for now, reads in (
        (start, 1),
        (start + limits.CACHE_SECONDS_MAX - 1, 1),
        (start + limits.CACHE_SECONDS_MAX, 2),
        (start + limits.CACHE_SECONDS_MAX + 1, 2),
        (start, 3),
    ):
        assert reader.find(KIND, "key", "a", now) == text(keycard(1, "a"))
        assert file.reads == reads


def test_kinds_that_are_not_cold_are_passed_over(reader: ColdReader) -> None:
    reader.apply(v(11), [Change("routes", card_id(1), "{}")])
    assert len(reader._overlay) == 0
    assert reader.version == v(11)


def test_whatever_may_change_an_answer_begins_another_edition(
    file: File, reader: ColdReader
) -> None:
    known = [reader.edition]

    def moved() -> bool:
        known.append(reader.edition)
        return known[-1] is not known[-2]

    reader.find(KIND, "key", "a", 0)
    reader.vouched(FILL, v(10))
    reader.apply(v(11), [Change("services", card_id(1), "{}")])
    assert not moved()
    for number, change in enumerate((keycard(1, "a"), keycard(1, "b"), no_keycard(1)), start=12):
        reader.apply(v(number), [Change("services", card_id(1), "{}"), change])
        assert moved()
    for purge in (reader.purge_all, lambda: reader.purge_tag("a")):
        purge()
        assert moved()
    reader.loaded(v(14))
    assert moved()
