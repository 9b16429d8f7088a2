"""Postings: the same as a dict of sets, sorted, however many ids a term has."""

from hypothesis import given
from hypothesis import strategies as st

from store.postings import Postings


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 200)), max_size=60),
    st.integers(0, 150),
)
def test_they_are_as_a_dict_of_sets(todo: list[tuple[bool, str, int]], count: int) -> None:
    postings = Postings()
    model: dict[str, set[str]] = {"a": set(), "b": set(), "unused": set()}
    todo = [(True, "a", number) for number in range(count)] + todo
    for wanted, term, number in todo:
        entity_id = f"{number:03d}"
        if wanted and entity_id not in model[term]:
            postings.add(term, entity_id)
            model[term].add(entity_id)
        elif not wanted and entity_id in model[term]:
            postings.discard(term, entity_id)
            model[term].remove(entity_id)
    for term, ids in model.items():
        assert postings.count(term) == len(ids)
        assert list(postings.after(term, "")) == sorted(ids)
        assert list(postings.after(term, "100")) == sorted(one for one in ids if one > "100")
    for entity_id in sorted(model["a"]):
        postings.discard("a", entity_id)
    assert list(postings.after("a", "")) == []


def test_taken_apart_step_by_step_they_are_gone() -> None:
    postings = Postings()
    for number in range(10):
        postings.add(str(number), "x")
    assert sum(1 for _ in postings.dismantle(4)) == 3
    assert postings.count("1") == 0
