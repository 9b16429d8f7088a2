"""Header fields and arguments: read in any case, edited in place, and sent as they should be."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.plugins.context import Response
from node.plugins.fields import Arguments, Headers, index_of
from tests.plugins.harness import SmallWorker, context_of, head

NAMES = st.sampled_from(("a", "A", "x-b", "X-B", "c"))
EDITS = st.lists(
    st.tuples(st.sampled_from(("set", "add", "remove")), NAMES, st.sampled_from(("1", "2", ""))),
    max_size=8,
)
BASE = ((b"A", b"1"), (b"x-b", b"2"), (b"a", b"3"))


def plainly(
    pairs: Sequence[tuple[bytes, bytes]], edits: list[tuple[str, str, str]]
) -> list[tuple[bytes, bytes]]:
    """What edits come to, one after another."""
    fields = list(pairs)
    for how, name, value in edits:
        if how in ("set", "remove"):
            fields = [pair for pair in fields if pair[0].lower() != name.lower().encode()]
        if how in ("set", "add"):
            fields.append((name.encode(), value.encode()))
    return fields


def edit(headers: Headers, edits: list[tuple[str, str, str]]) -> None:
    for how, name, value in edits:
        getattr(headers, how)(name, *(() if how == "remove" else (value,)))


@given(EDITS, EDITS, st.booleans(), st.booleans())
def test_edits_come_to_what_they_say_whether_read_in_between_or_not(
    first: list[tuple[str, str, str]],
    second: list[tuple[str, str, str]],
    read: bool,
    shared: bool,
) -> None:
    index = index_of(BASE, {})
    headers = Headers(BASE, index if shared else None)
    edit(headers, first)
    if read:
        headers.get("a")
    edit(headers, second)
    wanted = plainly(BASE, first + second)
    assert sorted(headers.pairs) == sorted(wanted)
    for name in ("a", "x-b", "c"):
        own = [value.decode() for key, value in wanted if key.decode().lower() == name]
        assert headers.all(name.upper()) == own
        assert headers.get(name) == (own[0] if own else None)
    assert index == index_of(BASE, {}), "what others share stays as it is"


@given(EDITS, EDITS)
def test_what_is_set_before_an_answer_is_there_holds_for_it(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    response = Response()
    for edits in (before, after):
        if edits is after:
            response.begin(200, lambda: BASE, "service")
        for how, name, value in edits:
            act = {"set": "set_header", "add": "add_header", "remove": "clear_header"}[how]
            getattr(response, act)(name, *(() if how == "remove" else (value,)))
    assert sorted(response.pairs) == sorted(plainly(BASE, before + after))


@pytest.mark.parametrize(
    "name", ["Content-Length", "connection", "Transfer-Encoding", "Keep-Alive", "a b", "", "é"]
)
def test_framing_and_what_is_no_name_can_not_be_set(name: str) -> None:
    headers = Headers(BASE)
    headers.set(name, "1")
    headers.add(name, "1")
    assert headers.pairs == BASE


def test_values_can_not_end_their_line_and_bytes_survive() -> None:
    headers = Headers(((b"raw", b"\xff\xe4"),))
    headers.set("copy", headers.get("raw") or "")
    headers.set("bad", "1\r\nX: 2\x00\tä")
    assert headers.pairs[1:] == [
        (b"copy", b"\xff\xe4"),
        (b"bad", b"1%0D%0AX: 2%00\t\xc3\xa4"),
    ]


def test_heads_alike_share_what_was_read_of_them_and_not_what_was_changed() -> None:
    request = head("/", "X-A: 1")
    first, second = (context_of(request, SmallWorker()) for _ in range(2))
    assert first.headers.get("x-a") == "1"
    first.headers.set("X-A", "2")
    first.headers.set("X-Own", "3")
    assert second.headers.get("x-a") == "1"
    assert second.headers.get("x-own") is None
    assert first.edited_head().plain == ((b"X-A", b"2"), (b"X-Own", b"3"))
    assert second.edited_head() is request


PIECES = st.text(st.sampled_from("ab &=+%é\x00/"), max_size=4)


@given(st.lists(st.tuples(PIECES, st.none() | PIECES), max_size=6))
def test_arguments_are_read_as_they_were_written(pairs: list[tuple[str, str | None]]) -> None:
    pairs = [(name, value) for name, value in pairs if name or value is not None]
    assert Arguments.parse(Arguments(pairs).encode()).pairs == pairs


@pytest.mark.parametrize("query", [b"a=%", b"a=%zz&&&=", b"%ff=%fe", b"=", b"a==b"])
def test_arguments_that_are_odd_survive(query: bytes) -> None:
    once = Arguments.parse(query).encode()
    assert Arguments.parse(once).pairs == Arguments.parse(query).pairs
