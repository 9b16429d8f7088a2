"""Histograms, and the summary of propagation delays."""

from node.metrics.histogram import Histogram
from node.metrics.measures import DELAYS_KEPT, Answers, Propagation


def test_a_value_counts_in_the_lowest_bucket_that_holds_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.0, 0.1, 0.5, 1.0, 7.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.sum == 8.6


def test_histograms_of_several_processes_add_up_as_counters() -> None:
    one, other = Histogram((0.1, 1.0)), Histogram((0.1, 1.0))
    one.observe(0.05)
    other.observe(0.5)
    other.observe(2.0)
    first, second = one.counters("took"), other.counters("took")
    total = {name: first[name] + second[name] for name in first}
    both = Histogram.of((0.1, 1.0), "took", total)
    assert (both.counts, both.sum) == ([1, 1, 1], 2.55)


def test_a_histogram_of_workers_that_have_not_told_anything_is_empty() -> None:
    assert Histogram.of((0.1, 1.0), "took", {}).counts == [0, 0, 0]


def test_propagation_is_summed_up_by_nearest_rank() -> None:
    propagation = Propagation()
    assert propagation.summary() == {"count": 0, "p50": None, "p99": None, "max": None}
    for milliseconds in range(100, 0, -1):
        propagation.observe(milliseconds / 1000, 1)
    assert propagation.summary() == {"count": 100, "p50": 0.05, "p99": 0.099, "max": 0.1}


def test_the_summary_is_of_the_latest_delays_and_the_histogram_of_all() -> None:
    propagation = Propagation()
    propagation.observe(50.0, 3)
    for _ in range(DELAYS_KEPT):
        propagation.observe(0.001, 1)
    summary = propagation.summary()
    assert (summary["count"], summary["max"]) == (DELAYS_KEPT, 0.001)
    assert sum(propagation.seconds.counts) == sum(propagation.hops.counts) == DELAYS_KEPT + 1


def test_a_delay_that_nobody_knows_is_not_guessed() -> None:
    propagation = Propagation()
    propagation.observe(None, 0)
    assert propagation.summary()["count"] == sum(propagation.hops.counts) == 0


def test_answers_count_by_class_whatever_their_status() -> None:
    answers = Answers()
    for status in (101, 200, 204, 304, 404, 503, 999):
        answers.observe(status, 0.002)
    assert answers.by_class == {"1xx": 1, "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 2}
    assert sum(answers.seconds.counts) == 7
