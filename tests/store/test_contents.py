"""A whole state put in at once: the same as entity by entity, in whatever order it comes."""

import random
from collections.abc import Sequence

import pytest

from benchmarks.entities import pairs
from store.authority import Query
from store.changeset import Change
from store.contents import Contents
from store.limits import FILLED_AT_ONCE
from store.version import EMPTY

ENTITIES = sorted(pairs(2 * FILLED_AT_ONCE + 10, random.Random(3)))


def by_itself(entities: Sequence[Change]) -> Contents:
    contents = Contents()
    for entity in entities:
        contents.apply([contents.prepare(entity)])
    return contents


def filled(*parts: Sequence[Change]) -> Contents:
    contents = Contents()
    for part in parts:
        contents.fill(part)
    return contents


def assert_same(one: Contents, other: Contents) -> None:
    assert one.state_hash() == other.state_hash()
    assert list(one.pin(EMPTY).rows()) == list(other.pin(EMPTY).rows())
    for kind, entity_id, _ in ENTITIES:
        assert one.get(kind, entity_id) == other.get(kind, entity_id)
    for number in range(0, len(ENTITIES) // 2, 7):
        found = one.find_by("services", "name", f"service-{number}")
        assert found == other.find_by("services", "name", f"service-{number}") is not None
    routes = 0
    for kind, service, _ in ENTITIES:
        if kind == "services":
            found_below = one.rows_by("routes", "service", service, 10)
            assert found_below == other.rows_by("routes", "service", service, 10)
            routes += len(found_below)
    assert routes
    page = Query("routes", 100)
    assert one.page(page) == other.page(page)


def test_in_order_at_once_or_in_parts_it_is_as_one_by_one() -> None:
    expected = by_itself(ENTITIES)
    assert_same(filled(ENTITIES), expected)
    assert_same(filled(ENTITIES[:100], ENTITIES[100:777], ENTITIES[777:]), expected)


def test_out_of_order_it_is_the_same() -> None:
    shuffled = random.Random(4).sample(ENTITIES, len(ENTITIES))
    assert_same(filled(shuffled), by_itself(ENTITIES))
    assert_same(filled(ENTITIES[300:], ENTITIES[:300]), by_itself(ENTITIES))


def test_an_entity_that_comes_twice_is_the_later_one() -> None:
    kind, entity_id, text = ENTITIES[0]
    later = Change(kind, entity_id, (text or "").replace('"tags":null', '"tags":["later"]'))
    assert later.entity != text
    twice = [ENTITIES[0], later, *ENTITIES[1:]]
    assert_same(filled(twice), by_itself([later, *ENTITIES[1:]]))
    assert_same(filled(ENTITIES, [later]), by_itself([later, *ENTITIES[1:]]))


@pytest.mark.parametrize("text", [None, "", "[]", '{"a":1', "{} {}"])
def test_a_state_with_a_deletion_or_nonsense_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match=r"deletion|not an entity|Expecting|Extra data"):
        filled([Change("services", "a", "{}"), Change("services", "b", text)])
