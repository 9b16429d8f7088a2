"""Lifeguard's suspicion formula."""

import math
from dataclasses import replace

import pytest

from gossip.profiles import LAN, LOCAL, WAN
from gossip.suspicion import open_suspicion


@pytest.mark.parametrize(
    ("members", "shortest", "longest"), [(10, 5.0, 30.0), (100, 10.0, 60.0), (1000, 15.0, 90.0)]
)
def test_time_grows_with_the_logarithm_of_the_cluster(
    members: int, shortest: float, longest: float
) -> None:
    suspicion = open_suspicion(LAN, members, "a", now=0.0)
    assert suspicion.deadline == pytest.approx(longest)
    for accuser in "bcd":
        suspicion.confirm(accuser)
    assert suspicion.deadline == pytest.approx(shortest)


def test_each_confirmation_shortens_the_time_by_lifeguards_formula() -> None:
    suspicion = open_suspicion(LAN, 10, "a", now=100.0)
    assert suspicion.confirm("b")
    expected = 30.0 - (30.0 - 5.0) * math.log(2) / math.log(4)
    assert suspicion.deadline - 100.0 == pytest.approx(expected)


def test_an_accuser_counts_once_and_the_first_is_no_confirmation() -> None:
    suspicion = open_suspicion(LAN, 10, "a", now=0.0)
    assert not suspicion.confirm("a")
    assert suspicion.confirm("b")
    assert not suspicion.confirm("b")


def test_accusers_beyond_those_expected_are_not_worth_spreading() -> None:
    suspicion = open_suspicion(LAN, 10, "a", now=0.0)
    assert [suspicion.confirm(accuser) for accuser in "bcdef"] == [True] * 3 + [False] * 2
    assert len(suspicion.accusers) == 4


@pytest.mark.parametrize("members", [2, 3])
def test_where_nobody_could_confirm_the_shortest_time_holds_at_once(members: int) -> None:
    assert open_suspicion(LAN, members, "a", now=0.0).deadline == pytest.approx(5.0)


def test_profiles_expect_two_less_confirmations_than_their_multiplier() -> None:
    expected = {"local": 1, "lan": 3, "wan": 4}
    for profile in (LOCAL, LAN, WAN):
        suspicion = open_suspicion(profile, 100, "a", now=0.0)
        assert suspicion.confirmations_expected == expected[profile.name]


@pytest.mark.parametrize("interval", [0.2, 3.0])
def test_time_is_counted_in_probe_intervals(interval: float) -> None:
    profile = replace(LAN, probe_interval=interval)
    suspicion = open_suspicion(profile, 10, "a", now=0.0)
    assert (suspicion.minimum, suspicion.maximum) == pytest.approx((5 * interval, 30 * interval))
