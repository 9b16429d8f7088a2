"""What two replicas say to each other to find what differs: questions and answers as bytes.

A question is a msgpack array that begins with its name. Gossip carries them without reading them;
they come from a peer, so whatever is read here is checked, and what can't be read is a ValueError.

=========================== ==========================================================
question                    answer
=========================== ==========================================================
``count``                   how many entities there are
``symbols`` begin, end      those symbols of the sketch, 26 bytes each
``ranges`` first            [whether these are the last, [[kind, id, fingerprint], …]],
                            the kind and id at which the range ends; nil for the last
``items`` [number, …]       the items of those ranges, as one run of bytes for each
``entities`` items          [[kind, id, text], …] of some of these items at least
=========================== ==========================================================
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from store.limits import (
    ITEMS_ASKED_MAX,
    RANGE_ENTITIES,
    RANGES_LISTED_MAX,
    RANGES_MAX,
    RANGES_TOLD_MAX,
    SKETCH_BATCH_MAX,
    SKETCH_SYMBOLS_MAX,
)
from store.reconcile_index import FINGERPRINT_BYTES, Key, Row
from store.sketch import ITEM_BYTES, SYMBOL_BYTES


class Count(NamedTuple):
    """How many entities are there? Told before anything else, it lets the other side begin."""


class Symbols(NamedTuple):
    begin: int
    end: int


class Ranges(NamedTuple):
    first: int


class Items(NamedTuple):
    numbers: tuple[int, ...]


class Entities(NamedTuple):
    items: tuple[bytes, ...]


Question = Count | Symbols | Ranges | Items | Entities


class Range(NamedTuple):
    """What a peer tells of one of its ranges."""

    end: Key | None
    """None: all that is above."""
    fingerprint: bytes


def encode_question(question: Question) -> bytes:
    match question:
        case Count():
            words: list[object] = ["count"]
        case Symbols(begin, end):
            words = ["symbols", begin, end]
        case Ranges(first):
            words = ["ranges", first]
        case Items(numbers):
            words = ["items", list(numbers)]
        case Entities(items):
            words = ["entities", b"".join(items)]
    encoded: bytes = msgpack.packb(words)
    return encoded


def read_question(data: bytes) -> Question:
    """Raises ValueError."""
    match _unpack(data):
        case ["count", *_]:
            return Count()
        case ["symbols", int(begin), int(end), *_]:
            _require(0 <= begin < end <= SKETCH_SYMBOLS_MAX and end - begin <= SKETCH_BATCH_MAX)
            return Symbols(begin, end)
        case ["ranges", int(first), *_]:
            _require(0 <= first < RANGES_MAX)
            return Ranges(first)
        case ["items", [*numbers], *_]:
            _require(0 < len(numbers) <= RANGES_LISTED_MAX)
            _require(all(type(one) is int and 0 <= one < RANGES_MAX for one in numbers))
            return Items(tuple(numbers))
        case ["entities", bytes(items), *_]:
            _require(0 < len(items) <= ITEMS_ASKED_MAX * ITEM_BYTES)
            return Entities(_cut(items))
    raise ValueError("not a question about what differs")


def encode_count(count: int) -> bytes:
    encoded: bytes = msgpack.packb(count)
    return encoded


def read_count(data: bytes) -> int:
    """Raises ValueError."""
    count = _unpack(data)
    if type(count) is not int or not 0 <= count <= RANGES_MAX * RANGE_ENTITIES:
        raise ValueError("not a number of entities")
    return count


def read_symbols(data: bytes, question: Symbols) -> bytes:
    """Raises ValueError."""
    _require(len(data) == (question.end - question.begin) * SYMBOL_BYTES)
    return data


def encode_ranges(ranges: Sequence[Range], *, last: bool) -> bytes:
    told = [[*(one.end or (None, None)), one.fingerprint] for one in ranges]
    encoded: bytes = msgpack.packb([last, told])
    return encoded


def read_ranges(data: bytes) -> tuple[bool, list[Range]]:
    """Whether these are the last, and the ranges. Raises ValueError."""
    ranges: list[Range] = []
    match _unpack(data):
        case [bool(last), [*told], *_]:
            _require(0 < len(told) <= RANGES_TOLD_MAX)
        case _:
            raise ValueError("no ranges")
    for one in told:
        match one:
            case [str(kind), str(entity_id), bytes(fingerprint), *_]:
                ranges.append(Range((kind, entity_id), fingerprint))
            case [None, None, bytes(fingerprint), *_]:
                ranges.append(Range(None, fingerprint))
            case _:
                raise ValueError("not a range")
        _require(len(fingerprint) == FINGERPRINT_BYTES)
    _require(all((one.end is None) == (last and one is ranges[-1]) for one in ranges))
    return last, ranges


def encode_items(runs: Sequence[bytes]) -> bytes:
    encoded: bytes = msgpack.packb(list(runs))
    return encoded


def read_items(data: bytes, question: Items) -> list[tuple[bytes, ...]]:
    """Those of each range that was asked for. Raises ValueError."""
    runs = _unpack(data)
    _require(type(runs) is list and len(runs) == len(question.numbers))
    _require(all(type(run) is bytes and len(run) <= RANGE_ENTITIES * ITEM_BYTES for run in runs))
    return [_cut(run) if run else () for run in runs]


def encode_entities(rows: Sequence[Row]) -> bytes:
    encoded: bytes = msgpack.packb([[kind, entity_id, text] for kind, entity_id, text in rows])
    return encoded


def read_entities(data: bytes) -> list[Row]:
    """Raises ValueError."""
    rows: list[Row] = []
    told = _unpack(data)
    _require(type(told) is list and 0 < len(told) <= ITEMS_ASKED_MAX)
    for one in told:
        match one:
            case [str(kind), str(entity_id), bytes(text), *_]:
                rows.append((kind, entity_id, text))
            case _:
                raise ValueError("not an entity")
    return rows


def _cut(items: bytes) -> tuple[bytes, ...]:
    _require(len(items) % ITEM_BYTES == 0)
    return tuple(items[at : at + ITEM_BYTES] for at in range(0, len(items), ITEM_BYTES))


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("not what may be said about what differs")


def _unpack(data: bytes) -> Any:
    try:
        return msgpack.unpackb(data)
    except Exception as error:  # msgpack raises a dozen kinds on garbage
        raise ValueError(f"not msgpack: {error}") from error
