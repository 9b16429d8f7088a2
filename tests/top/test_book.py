"""What is known of a cluster, from what its nodes answer."""

import json
from typing import Any

import pytest

from node.top.answers import Garbled, Listing, Member, Numbers, read_listing, read_numbers
from node.top.book import Book
from node.top.snapshot import Delays, Place, Sight

METRICS = b"""\
# HELP grapevine_ready Whether this node should get traffic.
grapevine_ready 1
grapevine_epoch 1
grapevine_revision 42
grapevine_proxy_responses_total{class="2xx"} 90
grapevine_proxy_responses_total{class="5xx"} 10
"""


def member(name: str, status: str = "alive", revision: int = 42) -> Member:
    return Member(f"id of {name}", name, status, Place(1, revision))


def numbers(responses: float = 0, errors: float = 0, *, ready: bool = True) -> Numbers:
    return Numbers(ready, Place(1, 42), responses, errors)


def sights(book: Book, ended: dict[str, str] | None = None) -> dict[str, Sight]:
    return {sight.name: sight for sight in book.sights({}, {}, ended or {})}


def test_rates_are_taken_between_two_answers() -> None:
    book = Book(("one",))
    listing = Listing((member("gw1"),), None)
    book.answered("one", listing, numbers(100, 10), 50.0)
    assert sights(book)["gw1"].requests is None
    book.answered("one", listing, numbers(300, 14), 52.0)
    assert (sights(book)["gw1"].requests, sights(book)["gw1"].errors) == (100.0, 2.0)


def test_a_node_that_was_started_anew_has_no_rate_below_zero() -> None:
    book = Book(("one",))
    listing = Listing((member("gw1"),), None)
    book.answered("one", listing, numbers(100), 50.0)
    book.answered("one", listing, numbers(3), 51.0)
    assert sights(book)["gw1"].requests == 0.0


def test_members_that_nobody_asks_are_shown_by_hearsay() -> None:
    book = Book(("one",))
    book.answered("one", Listing((member("gw1"), member("gw2", "failed", 40)), None), numbers(), 1)
    found = sights(book)["gw2"]
    assert (found.state, dict(found.opinions), found.version) == (
        "not asked",
        {"failed": 1},
        Place(1, 40),
    )


def test_what_a_silent_node_said_before_is_held_against_nobody() -> None:
    book = Book(("one", "two"), named=False)
    book.answered("one", Listing((member("gw1"), member("gw2")), None), numbers(), 1)
    book.answered("two", Listing((member("gw2"), member("gw1", "failed")), None), numbers(), 1)
    assert sights(book)["gw1"].opinions == {"alive": 1, "failed": 1}
    book.failed("two", "no answer", "none in 2 s")
    assert sights(book)["gw1"].opinions == {"alive": 1}
    assert sights(book)["gw2"].state == "no answer"
    assert book.problem() == "gw2: none in 2 s"


def test_a_process_that_has_ended_is_ended_whatever_it_said_last() -> None:
    book = Book(("gw1",), named=True)
    book.answered("gw1", Listing((member("gw1"),), Delays(0.1, 0.2)), numbers(), 1)
    dead = sights(book, {"gw1": "exit code -9"})["gw1"]
    assert (dead.state, dead.problem, dead.delays) == ("ended", "exit code -9", None)


def test_answers_of_a_node_are_read() -> None:
    listing = {
        "data": [{"id": "i", "name": "gw1", "status": "alive", "revision": "1.7-abcdef12"}],
        "propagation": {"count": 1, "p50": 0.001, "p99": 0.002, "max": 0.002},
    }
    assert read_listing(json.dumps(listing).encode()) == Listing(
        (Member("i", "gw1", "alive", Place(1, 7)),), Delays(0.001, 0.002)
    )
    assert read_numbers(METRICS) == Numbers(True, Place(1, 42), 100, 10)


def test_control_characters_of_names_are_escaped() -> None:
    listing: dict[str, Any] = {"data": [{"id": "i", "name": "\x1b[2J\n", "status": "alive"}]}
    assert read_listing(json.dumps(listing).encode()).members[0].name == r"\x1b[2J\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"data": []}',
        b'{"data": [1]}',
        b'{"data": [{"id": 1}]}',
        b'{"data": {"id": "x"}}',
    ],
)
def test_a_listing_that_is_none_is_garbled(body: bytes) -> None:
    with pytest.raises(Garbled, match="/cluster"):
        read_listing(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        METRICS.replace(b"grapevine_epoch 1", b""),
        METRICS.replace(b" 90", b" many"),
        METRICS.replace(b" 42", b" NaN"),
        METRICS.replace(b" 42", b" +Inf"),
    ],
)
def test_metrics_that_are_none_are_garbled(body: bytes) -> None:
    with pytest.raises(Garbled, match="/metrics"):
        read_numbers(body)
