"""Inputs that say in which pieces they arrive: whatever is read must not depend on that."""

from collections.abc import Iterator
from itertools import chain


def planned(data: bytes) -> tuple[bytes, bytes]:
    """A plan and what is left: the first byte has the plan's length, up to 15."""
    count = data[0] % 16 if data else 0
    return data[1 : 1 + count], data[1 + count :]


def pieces(plan: bytes, data: bytes) -> Iterator[bytes]:
    """The data in pieces of the lengths that the plan says (0: all the rest byte by byte), and what
    then is left as one piece."""
    at = 0
    for size in plan:
        if at >= len(data):
            return
        if size == 0:
            yield from (data[i : i + 1] for i in range(at, len(data)))
            return
        yield data[at : at + size]
        at += size
    if at < len(data):
        yield data[at:]


def uncut(*datas: bytes) -> list[bytes]:
    """Seeds: each in one piece, and byte by byte."""
    return list(chain.from_iterable((b"\0" + data, b"\1\0" + data) for data in datas))
