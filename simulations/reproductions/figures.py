"""What these scenarios have in common: their sizes, and a report without a world."""

import hashlib
from collections.abc import Iterable, Sequence

from simulations.report import Report, Table

_STEPS = (3, 10, 32, 100, 316, 1_000)


def sizes_to(nodes: int) -> list[int]:
    """Half powers of ten from 3 up to a number of nodes."""
    return [size for size in _STEPS if size < nodes] + [max(_STEPS[0], nodes)]


def figures_report(
    seconds: float,
    events: int,
    traces: Iterable[object],
    measures: dict[str, float],
    tables: Sequence[Table],
) -> Report:
    """``traces`` stand for everything that happened: two runs of one seed have the same."""
    whole = hashlib.blake2b(digest_size=16)
    for trace in traces:
        whole.update(repr(trace).encode())
    rounded = {name: round(value, 6) for name, value in measures.items()}
    return Report(
        round(seconds, 6), events, whole.hexdigest(), {"liveness": "ok"}, rounded, {}, tables
    )
