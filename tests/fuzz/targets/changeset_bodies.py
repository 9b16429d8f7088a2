"""The body of a changeset, which peers and the authority send: read at once and piece by piece it
is the same, or refused both ways, by ValueError; written again it reads the same."""

from store.changeset import (
    Body,
    BodyReader,
    Change,
    count_changes,
    decode_body,
    encode_body,
)
from tests.fuzz.target import Target

_CHANGES_MAX = 2


def attack(data: bytes) -> None:
    """A body."""
    body = _whole(data)
    assert body == _in_pieces(data)
    if body is None:
        return
    count = count_changes(data)
    assert count is None or count == len(body.changes)
    assert decode_body(encode_body(body)) == body


def _whole(data: bytes) -> Body | None:
    try:
        return decode_body(data)
    except ValueError:
        return None


def _in_pieces(data: bytes) -> Body | None:
    reader = BodyReader(data)
    changes: list[Change] = []
    try:
        for part in reader.changes(_CHANGES_MAX, 64):
            assert len(part) <= _CHANGES_MAX
            changes += part
    except ValueError:
        return None
    assert reader.total == len(changes)
    return reader.beginning()._replace(changes=tuple(changes))


_PUT = Change("services", "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11", '{"host":"h"}')
_GONE = Change("routes", "x", None)

TARGET = Target(
    attack,
    seeds=[
        encode_body(Body(b"w" * 16, 1.5, "node", changes, mark))
        for changes in ((), (_PUT,), (_PUT, _GONE, _PUT))
        for mark in ("", "audit")
    ],
    words=[b"\xdd\0\0\0\2", b"\xdc\0\1", b"\xc1", b"\xc0", b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\x80"],
)
