"""What came over a wire has the declared types, or it hasn't."""

from typing import NamedTuple

import pytest

from node import channel
from node.channel import ChannelError, Decoder
from node.shapes import shape_of

VERSION = (1, 2, 3)


class Declared(NamedTuple):
    number: int
    time: float
    version: tuple[int, int, int]
    texts: tuple[str, ...] | None
    counters: dict[str, int]
    rows: tuple[tuple[str, bool], ...]


GOOD = (1, 1.5, VERSION, ("a", "b"), {"a": 1}, (("a", True),))


@pytest.mark.parametrize("texts", [None, (), ("a",)])
def test_values_of_the_declared_types_are_taken(texts: object) -> None:
    assert shape_of(Declared)((*GOOD[:3], texts, *GOOD[4:]))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, value) for value in ("1", True, 1.0, None)),
        *((1, value) for value in (1, "1.5")),
        *((2, value) for value in ((1, 2), (1, 2, 3, 4), (1, 2, "3"), [1, 2, 3], "123")),
        *((3, value) for value in ((1,), "ab", ("a", None))),
        *((4, value) for value in ({"a": "1"}, {1: 1}, (), [("a", 1)])),
        *((5, value) for value in ((("a", 1),), (("a",),), ("a", True))),
    ],
)
def test_a_value_of_another_type_is_not(place: int, value: object) -> None:
    assert not shape_of(Declared)((*GOOD[:place], value, *GOOD[place + 1 :]))


def test_the_agent_takes_no_other_types_from_a_worker() -> None:
    (frame,) = Decoder().feed(channel.encode(channel.Applied(VERSION, 1.5)))
    assert frame == channel.Applied(VERSION, 1.5)
    wrong = channel.Stats({"total_requests": "many"})  # type: ignore[dict-item]
    with pytest.raises(ChannelError, match="values of a stats that have other types"):
        list(Decoder().feed(channel.encode(wrong)))
