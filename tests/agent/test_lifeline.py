"""What whoever has started a node may tell it through the pipe that keeps it alive."""

import os
from collections.abc import Iterator

import pytest

from gossip.address import Address
from node.agent.lifeline import LINE_BYTES_MAX, Lifeline


class Held:
    """A lifeline, its other end, and what came of it."""

    def __init__(self) -> None:
        self.theirs, self.ours = os.pipe()
        self.cuts: list[frozenset[Address]] = []
        self.ends = 0
        self.lifeline = Lifeline(self.theirs, self.cuts.append, self.end)

    def end(self) -> None:
        self.ends += 1

    def tell(self, data: bytes) -> None:
        os.write(self.ours, data)
        self.lifeline.readable()


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    os.close(made.theirs)
    if not made.ends:
        os.close(made.ours)


def test_its_end_ends_the_node(held: Held) -> None:
    os.close(held.ours)
    held.lifeline.readable()
    assert (held.ends, held.cuts) == (1, [])


def test_a_cut_names_who_is_cut_off_and_an_empty_one_heals(held: Held) -> None:
    held.tell(b"cut 127.0.0.1:8105 [::1]:8205\ncut\n")
    assert held.cuts == [frozenset({("127.0.0.1", 8105), ("::1", 8205)}), frozenset()]
    assert held.ends == 0


def test_a_line_may_come_in_pieces(held: Held) -> None:
    held.tell(b"cut 127.0.")
    held.tell(b"0.1:8105")
    assert held.cuts == []
    held.tell(b"\n")
    assert held.cuts == [frozenset({("127.0.0.1", 8105)})]


@pytest.mark.parametrize("line", [b"stop", b"", b"\xff\xfe", b"cut nowhere:port", b"cut :1:2:3"])
def test_what_is_no_order_changes_nothing(held: Held, line: bytes) -> None:
    held.tell(line + b"\n")
    assert (held.ends, held.cuts) == (0, [])
    held.tell(b"cut 127.0.0.1:1\n")
    assert held.cuts == [frozenset({("127.0.0.1", 1)})]


def test_a_line_without_an_end_takes_no_more_than_its_bound(held: Held) -> None:
    for _ in range(2 * LINE_BYTES_MAX // 4096):
        held.tell(b"x" * 4096)
    held.tell(b"\ncut\n")
    assert held.cuts == [frozenset()]
