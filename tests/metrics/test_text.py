"""Prometheus' text format."""

import math

import pytest

from node.metrics.histogram import Histogram
from node.metrics.text import Family, head_of, lines_of, number
from tests.metrics.exposition import read


def test_help_and_label_values_are_escaped() -> None:
    family = Family("odd", "gauge", 'a \\ and\na "line"')
    value = 'C:\\ "quoted"\nnext'
    text = head_of(family) + "".join(lines_of("odd", {(("where", value),): 1.5}))
    assert text.count("\n") == 3
    exposed = read(text)
    assert exposed.helps["odd"] == family.help
    assert exposed.value("odd", where=value) == 1.5


def test_buckets_are_cumulative_and_end_with_all() -> None:
    histogram = Histogram((0.0005, 0.25, 60.0))
    for seconds in (0.0001, 0.1, 0.2, 61.0):
        histogram.observe(seconds)
    text = head_of(Family("took_seconds", "histogram", "Time."))
    text += "".join(lines_of("took_seconds", {(): histogram}))
    exposed = read(text)
    bounds = {bound: exposed.value("took_seconds_bucket", le=bound) for bound in ("0.25", "60")}
    assert bounds == {"0.25": 3, "60": 3}
    assert exposed.value("took_seconds_bucket", le="+Inf") == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (2.0, "2"),
        (0.0005, "0.0005"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (True, "1"),
        (2**63, "9223372036854775808"),
    ],
)
def test_numbers_are_as_go_reads_them(value: float, text: str) -> None:
    assert number(value) == text
