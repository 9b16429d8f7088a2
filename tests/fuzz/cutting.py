"""Inputs that say in which pieces they arrive: whatever is read must not depend on that."""

from collections.abc import Iterator
from itertools import chain

_SINGLE = 8
"""A whole input byte by byte would take as long as ten others."""


def planned(data: bytes) -> tuple[bytes, bytes]:
    """A plan and what is left: the first byte has the plan's length, up to 15."""
    count = data[0] % 16 if data else 0
    return data[1 : 1 + count], data[1 + count :]


def pieces(plan: bytes, data: bytes) -> Iterator[bytes]:
    """The data in pieces of the lengths that the plan says, and what then is left as one piece. 0
    says: the next ones byte by byte."""
    at = 0
    for size in plan:
        sizes = [size] if size else [1] * _SINGLE
        for one in sizes:
            if at < len(data):
                yield data[at : at + one]
                at += one
    if at < len(data):
        yield data[at:]


def uncut(*datas: bytes) -> list[bytes]:
    """Seeds: each in one piece, and at first byte by byte."""
    return list(chain.from_iterable((b"\0" + data, b"\2\0\0" + data) for data in datas))
