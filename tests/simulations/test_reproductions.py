"""SWIM's and Lifeguard's numbers, at a small size: the formulas hold, the configurations differ."""

from dataclasses import replace

import pytest

from gossip.profiles import LAN
from simulations import swim
from simulations.lifeguard import Cell, configurations, false_alarms
from simulations.runner import Request, run
from simulations.world import World


@pytest.fixture(scope="module")
def small() -> dict[str, float]:
    """What ``swim`` measures with 12 members in 40 trials."""
    outcome = run(Request("swim", 12, 1, ("sizes=12", "trials=40")))
    assert outcome["ok"], outcome
    measures: dict[str, float] = outcome["measures"]
    return measures


@pytest.mark.long
def test_detection_takes_what_the_formulas_say(small: dict[str, float]) -> None:
    """Within 0.2 periods: four standard errors of the mean of 40 uniform waits."""
    suspected = swim.first_probe(12, even=True) + LAN.probe_window
    assert small["n12_suspected"] == pytest.approx(suspected, abs=0.2)
    judged = suspected + swim.shortest_suspicion(12, LAN)
    assert small["n12_judged"] == pytest.approx(judged, abs=0.2)
    assert small["n12_suspected"] < swim.first_probe(12, even=False) + LAN.probe_window


@pytest.mark.long
def test_a_member_at_rest_sends_a_ping_and_an_ack_per_period(small: dict[str, float]) -> None:
    assert small["n12_packets"] == pytest.approx(2.0, abs=0.05)


@pytest.mark.long
def test_probes_fail_by_loss_as_often_as_swim_says(small: dict[str, float]) -> None:
    """Within a fifth: of some 4,500 probes 330 fail, give or take 18."""
    expected = swim.failing_share(12, LAN, loss=0.2)
    assert small["n12_failed_probes"] == pytest.approx(expected, rel=0.2)


@pytest.mark.long
def test_piggyback_alone_reaches_all_in_logarithmic_time(small: dict[str, float]) -> None:
    """Not later than by SWIM's random contacts; an even order wastes fewer."""
    expected = swim.dissemination(12)
    assert expected / 2 < small["n12_spread"] < expected * 1.1


def test_swims_formulas() -> None:
    assert swim.first_probe(1_000, even=False) + 0.5 == pytest.approx(1.58, abs=0.01)
    assert swim.dissemination(2) == pytest.approx(0.5)
    assert swim.failing_share(5, replace(LAN, indirect_checks=0), 0.5) == pytest.approx(0.75)
    assert swim.failing_share(3, LAN, 0.5) == pytest.approx(0.75 * (1 - 0.5**4))


@pytest.mark.long
def test_each_part_of_lifeguard_raises_fewer_false_alarms_and_self_doubt_none() -> None:
    """Four of 16 members say and hear nothing for 12 seconds, while their timers run on."""
    false = {}
    for name, profile in configurations(LAN).items():
        alarms = false_alarms(World(16, 1, profile), Cell(4, 12.0), "blocked", 0.0)
        false[name] = alarms.false
        assert alarms.false_at_healthy <= alarms.false
    assert false["swim"] > 100
    assert false["probe"] < false["swim"]
    assert false["suspicion"] < false["swim"] / 2
    assert false["lifeguard"] <= min(false["probe"], false["suspicion"]) / 2
    assert false["grapevine"] == 0


@pytest.mark.long
def test_the_grids_and_the_tuning_are_tables_with_a_row_for_each_configuration() -> None:
    settings = ("slow=1", "lengths=2", "intervals=1", "cycling=4", "trials=1", "alphas=4,5")
    outcome = run(
        Request("lifeguard", 6, 1, (*settings, "experiments=detection,threshold,interval,tuning"))
    )
    assert outcome["ok"], outcome
    detection, threshold, interval, tuning = outcome["tables"]
    for table in (detection, threshold, interval):
        assert [row[0] for row in table["rows"]] == list(configurations(LAN))
    assert [row[0] for row in tuning["rows"]] == [
        f"alpha {alpha}, beta {beta}" for alpha in (4, 5) for beta in (2, 4, 6)
    ]
    assert outcome["measures"]["a4_b6_first_verdict"] < outcome["measures"]["a5_b6_first_verdict"]


@pytest.mark.long
def test_a_shorter_alpha_convicts_sooner_by_the_formula() -> None:
    times = []
    for alpha in (2, 5):
        setting = f"suspicion_mult={alpha}"
        outcome = run(Request("swim", 8, 1, ("sizes=8", "trials=10", setting)))
        times.append(outcome["measures"]["n8_judged"] - outcome["measures"]["n8_suspected"])
    assert times == pytest.approx([2.0, 5.0], abs=0.1)


def test_the_authority_is_read_as_often_by_twenty_nodes_as_by_three() -> None:
    outcome = run(Request("authority-load", 20, 1, ("sizes=3,20", "seconds=120")))
    assert outcome["ok"], outcome
    measures: dict[str, float] = outcome["measures"]
    for size in (3, 20):
        for writes in (0, 1):
            assert 0.66 <= measures[f"n{size}_writes{writes}_looks_per_interval"] <= 1.0
            assert measures[f"n{size}_writes{writes}_connections"] <= 6
