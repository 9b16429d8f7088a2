"""Sketches: any two sets are told apart, in about as many symbols as the theory says."""

import json
import random
import statistics
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from store import sketch_decoder
from store.sketch import (
    ITEM_BYTES,
    SYMBOL_BYTES,
    Sketch,
    code,
    item_of,
    sketch_key,
)
from store.sketch_decoder import Decoder
from store.state_hash import identify

GOLDEN = json.loads((Path(__file__).parent / "sketch.json").read_text())
SYMBOLS = 2_048
items = st.integers(0, 2**64 - 1).map(
    # Hashes, as items are: two with the same first half couldn't be told apart.
    lambda number: blake3(number.to_bytes(8, "big")).digest(length=ITEM_BYTES)
)


def sketch_of(wanted: set[bytes], symbols: int = SYMBOLS) -> Sketch:
    sketch = Sketch(0, symbols)
    for item in sorted(wanted):
        sketch.add(item)
    return sketch


def decode(theirs: Sketch, ours: Sketch, at_once: int = 1) -> Decoder:
    """Symbols in order, so many at once, until what differs is known."""
    decoder = Decoder()
    while True:
        end = min(len(decoder) + at_once, theirs.end)
        assert end > len(decoder), "not within the symbols that there are"
        span = len(decoder), end
        decoder.feed(theirs.encode(*span), ours.encode(*span))
        progress = decoder.peel(10**6)
        assert progress in ("done", "more")
        if progress == "done":
            return decoder


def drawn(rng: random.Random, count: int) -> set[bytes]:
    return {rng.randbytes(ITEM_BYTES) for _ in range(count)}


@settings(max_examples=50, deadline=None)
@given(
    st.sets(items, max_size=60),
    st.sets(items, max_size=60),
    st.sets(items, max_size=60),
    st.integers(1, 40),
)
def test_what_only_one_of_two_sets_holds_is_read(
    common: set[bytes], ours: set[bytes], theirs: set[bytes], at_once: int
) -> None:
    ours, theirs = ours - common - theirs, theirs - common - ours
    decoder = decode(sketch_of(common | theirs), sketch_of(common | ours), at_once)
    assert (set(decoder.theirs), set(decoder.ours)) == (theirs, ours)
    assert len(decoder.theirs) + len(decoder.ours) == len(theirs) + len(ours)


@pytest.mark.parametrize("differing_byte", range(ITEM_BYTES))
def test_items_that_are_much_alike_are_told_apart(differing_byte: int) -> None:
    alike = set()
    for value in range(30):
        item = bytearray(ITEM_BYTES)
        item[differing_byte] = value
        alike.add(bytes(item))
    decoder = decode(sketch_of(alike, 256), sketch_of(set(), 256))
    assert set(decoder.theirs) == alike


@pytest.mark.parametrize(
    ("differing", "least", "most"),
    [(1, 1.0, 1.0), (10, 1.4, 2.1), (100, 1.3, 1.6), (500, 1.3, 1.5)],
)
def test_symbols_per_difference_are_what_the_theory_says(
    differing: int, least: float, most: float
) -> None:
    rng = random.Random(differing)
    needed = []
    for _ in range(max(10, 400 // differing)):
        ours, theirs = drawn(rng, differing // 2), drawn(rng, differing - differing // 2)
        at_once = 1 + differing // 50
        needed.append(len(decode(sketch_of(theirs), sketch_of(ours), at_once)) / differing)
    assert least <= statistics.mean(needed) <= most


def test_what_both_sets_hold_costs_nothing() -> None:
    rng = random.Random(7)
    common, one = drawn(rng, 3_000), drawn(rng, 1)
    decoder = decode(sketch_of(common | one, 64), sketch_of(common, 64))
    assert len(decoder) == 1
    assert decoder.theirs == list(one)


def test_equal_sets_are_known_as_such_by_one_symbol() -> None:
    same = drawn(random.Random(8), 100)
    assert len(decode(sketch_of(same), sketch_of(same))) == 1


@given(st.sets(items, max_size=30), st.sets(items, max_size=30))
def test_upkeep_gives_the_symbols_of_a_sketch_from_scratch(
    stay: set[bytes], pass_by: set[bytes]
) -> None:
    kept = sketch_of(stay | pass_by, 64)
    for item in sorted(pass_by - stay):
        kept.remove(item)
    assert kept.encode(0, 64) == sketch_of(stay, 64).encode(0, 64)


@given(st.sets(items, max_size=30), st.integers(0, 200))
def test_later_symbols_go_on_where_earlier_ones_end(wanted: set[bytes], cut: int) -> None:
    whole, later = sketch_of(wanted, 200), Sketch(cut, 200)
    for item in sorted(wanted):
        later.add(item)
    assert whole.encode(0, cut) + later.encode(cut, 200) == whole.encode(0, 200)


def test_a_decoder_says_when_it_is_not_done_with_what_has_come() -> None:
    rng = random.Random(9)
    theirs, ours = sketch_of(drawn(rng, 50)), sketch_of(set())
    decoder = Decoder()
    assert decoder.peel(1) == "more"
    decoder.feed(theirs.encode(0, 200), ours.encode(0, 200))
    steps = 0
    while (progress := decoder.peel(10)) == "peeling":
        steps += 1
        assert len(decoder.theirs) == 10 * steps
    assert progress == "done"
    assert len(decoder.theirs) == 50


def test_a_decoder_gives_up_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch_decoder, "SKETCH_SYMBOLS_MAX", 100)
    theirs, ours = sketch_of(drawn(random.Random(3), 300)), sketch_of(set())
    decoder = Decoder()
    decoder.feed(theirs.encode(0, 100), ours.encode(0, 100))
    assert decoder.peel(10**6) == "more"
    decoder.feed(theirs.encode(100, 101), ours.encode(100, 101))
    assert decoder.peel(10**6) == "hopeless"
    assert len(decoder) == 100


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40 * SYMBOL_BYTES), st.integers(0, 3), st.randoms())
def test_nonsense_ends_in_bounded_time(data: bytes, repeated: int, rng: random.Random) -> None:
    real = sketch_of({b"i" * ITEM_BYTES, b"j" * ITEM_BYTES}, 64).encode(0, 64)
    symbols = [real[at : at + SYMBOL_BYTES] for at in range(0, len(real), SYMBOL_BYTES)]
    rng.shuffle(symbols)
    data = data[: len(data) // SYMBOL_BYTES * SYMBOL_BYTES] + b"".join(symbols * repeated)
    decoder = Decoder()
    decoder.feed(data, bytes(len(data)))
    assert decoder.peel(10**6) in ("done", "more", "hopeless")
    assert len(decoder.theirs) + len(decoder.ours) <= len(decoder)


def test_symbols_that_contradict_themselves_are_hopeless() -> None:
    one = sketch_of({b"i" * ITEM_BYTES}, 1).encode(0, 1)
    first, *others = code(b"i" * ITEM_BYTES).symbols(0, 64)
    assert first == 0
    forged = bytearray(64 * SYMBOL_BYTES)
    for index in (0, others[0]):
        forged[index * SYMBOL_BYTES : (index + 1) * SYMBOL_BYTES] = one
    # The same item once more, where taking it out left its negative.
    decoder = Decoder()
    decoder.feed(bytes(forged), bytes(len(forged)))
    assert decoder.peel(10**6) == "hopeless"


@pytest.mark.parametrize(("theirs", "ours"), [(b"x", b""), (b"x" * 27, b"x" * 27)])
def test_what_is_no_whole_symbol_is_refused(theirs: bytes, ours: bytes) -> None:
    with pytest.raises(ValueError, match="bytes of symbols"):
        Decoder().feed(theirs, ours)


def test_items_and_symbols_are_those_that_every_version_agrees_on() -> None:
    key = sketch_key(GOLDEN["authority_id"])
    sketch = Sketch(0, GOLDEN["symbols"])
    for entity in GOLDEN["entities"]:
        item = item_of(key, identify(entity["kind"], entity["id"], entity["text"].encode()))
        assert item.hex() == entity["item"]
        assert list(code(item).symbols(0, 1_000)) == entity["symbols_below_1000"]
        sketch.add(item)
    assert sketch.encode(0, GOLDEN["symbols"]).hex() == GOLDEN["encoded"]


# In the replica
