"""What the search has come by is done again: every way into what comes from outside, and whatever
once broke something."""

import pytest

from tests.fuzz.target import CORPUS, corpus, load, names


@pytest.mark.parametrize("name", names())
def test_known_inputs_break_nothing(name: str) -> None:
    target = load(name)
    inputs = [path.read_bytes() for path in corpus(name)]
    assert inputs, "a target without a corpus is no standing one"
    for data in (*target.seeds, *inputs):
        target.attack(data)


def test_each_corpus_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*names()}
