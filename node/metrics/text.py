"""Prometheus' text exposition format, version 0.0.4.

A family is a name with its help and type, followed by its samples. In help texts a backslash and a
line feed are escaped, in label values double quotes, too. Counters are called ``…_total``, and a
histogram's samples ``…_bucket`` (cumulative, with the label ``le``), ``…_sum`` and ``…_count``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from node.metrics.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Value = float | Histogram
Samples = Mapping[Labels, Value]
"""Nothing in it: the family is declared, and has nothing to tell now."""


class Family(NamedTuple):
    """What is measured."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str


def head_of(family: Family) -> str:
    """The two lines above a family's samples."""
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {family.name} {text}\n# TYPE {family.name} {family.type}\n"


def lines_of(name: str, samples: Samples) -> Iterator[str]:
    """A family's samples, a line each."""
    for labels, value in samples.items():
        if isinstance(value, Histogram):
            yield from _histogram(name, labels, value)
        else:
            yield f"{name}{_shown(labels)} {number(value)}\n"


def _histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    total = 0
    for bound, count in zip((*histogram.bounds, math.inf), histogram.counts, strict=True):
        total += count
        yield f"{name}_bucket{_shown((*labels, ('le', number(bound))))} {total}\n"
    yield f"{name}_sum{_shown(labels)} {number(histogram.sum)}\n"
    yield f"{name}_count{_shown(labels)} {total}\n"


def number(value: float) -> str:
    """A number as Prometheus reads it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 2**53):
        return str(int(value))
    return repr(value)


def _shown(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
