"""Rows in chunks: the same as a dict, sorted; and views that later changes don't reach."""

import weakref

from hypothesis import given, settings
from hypothesis import strategies as st

from store.sorted_rows import CHUNK_ROWS, Row, SortedRows

NUMBERS = st.integers(0, 3_000)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NUMBERS),
        st.tuples(st.just("pop"), NUMBERS),
        st.tuples(st.just("extend"), NUMBERS),
        st.tuples(st.just("pin"), st.just(0)),
    ),
    max_size=60,
)


def name(number: int) -> str:
    return f"{number:05d}"


def row(text: str) -> Row:
    return Row(text.encode(), (text,))


def filled(numbers: range) -> SortedRows:
    rows = SortedRows()
    for number in numbers:
        assert rows.put(name(number), row("first")) is None
    return rows


@settings(max_examples=60)
@given(operations, st.sampled_from([0, 1, 5, CHUNK_ROWS, 3 * CHUNK_ROWS]))
def test_they_are_as_a_dict_and_views_stay_as_they_were(
    todo: list[tuple[str, int]], count: int
) -> None:
    rows = filled(range(0, 2 * count, 2))
    model = {name(number): b"first" for number in range(0, 2 * count, 2)}
    pinned = []
    for position, (operation, number) in enumerate(todo):
        key, new = name(number), row(f"at {position}")
        if operation == "put":
            old = rows.put(key, new)
            assert (old and old.text) == model.get(key)
            model[key] = new.text
        elif operation == "extend":
            many = [name(each) for each in range(number, number + 2 * CHUNK_ROWS, 3)]
            is_behind = not model or max(model) < many[0]
            assert rows.extend(dict.fromkeys(many, new)) == is_behind
            if is_behind:
                model.update(dict.fromkeys(many, new.text))
        elif operation == "pop":
            old = rows.pop(key)
            assert (old and old.text) == model.pop(key, None)
        else:
            pinned.append((rows.pin(), dict(model)))
        found = rows.get(key)
        assert (found and found.text) == model.get(key)
    pinned.append((rows.pin(), dict(model)))
    assert len(rows) == len(model)
    assert list(rows.items()) == sorted(model.items())
    for view, then in pinned:
        assert len(view) == len(then)
        assert list(view.items()) == sorted(then.items())
        for number in range(0, 3_000, 101):
            assert view.get(name(number)) == then.get(name(number))
            after = [item for item in sorted(then.items()) if item[0] > name(number)]
            assert list(view.items(name(number))) == after


def test_what_does_not_ascend_is_not_taken_behind_the_others() -> None:
    rows = filled(range(3))
    for ids in ((4, 6, 5), (2, 3), (0, 1)):
        assert not rows.extend({name(number): row("new") for number in ids})
    assert list(rows.items()) == [(name(number), b"first") for number in range(3)]


def test_in_whatever_order_they_come_chunks_stay_small() -> None:
    for numbers in (range(5_000), range(4_999, -1, -1), [i * 1_777 % 5_000 for i in range(5_000)]):
        rows = SortedRows()
        for number in numbers:
            rows.put(name(number), row("x"))
        assert [key for key, _ in rows.items()] == [name(number) for number in range(5_000)]
        sizes = [len(chunk.ids) for chunk in rows._chunks]
        assert max(sizes) < 2 * CHUNK_ROWS
        assert len(sizes) <= 5_000 // (CHUNK_ROWS // 2)


def test_a_change_under_a_view_copies_one_chunk_and_the_next_one_none() -> None:
    rows = filled(range(10 * CHUNK_ROWS))
    view = rows.pin()
    rows.put(name(7), row("second"))
    differing = [a is not b for a, b in zip(view._chunks, rows._chunks, strict=True)]
    assert differing == [True] + [False] * 9
    copied, listed = rows._chunks[0], rows._chunks
    rows.put(name(8), row("third"))
    assert rows._chunks is listed
    assert rows._chunks[0] is copied


def test_what_only_a_view_needs_goes_with_it() -> None:
    rows = filled(range(CHUNK_ROWS))
    chunk = weakref.ref(rows._chunks[0])
    view = rows.pin()
    rows.put(name(0), row("second"))
    assert chunk() is not None
    assert view.get(name(0)) == b"first"
    del view
    assert chunk() is None


def test_taken_apart_step_by_step_they_are_gone() -> None:
    rows = filled(range(3 * CHUNK_ROWS))
    view = rows.pin()
    steps = sum(1 for _ in rows.dismantle())
    assert steps == 3
    assert len(rows) == 0
    assert len(list(view.items())) == 3 * CHUNK_ROWS
