"""Clusters of real replicas, damaged at random while everything else fails."""

import pytest

from simulations.scenarios import SCENARIOS
from simulations.settings import Settings


@pytest.mark.parametrize("seed", range(6))
def test_replicas_that_are_damaged_at_random_come_back(seed: int) -> None:
    told = SCENARIOS["repairs"](1 + seed % 5, seed, Settings())
    assert told.measures["well_again"] >= 0.0


def test_what_repairs_replicas_happens_in_these_worlds() -> None:
    names = ("reconciles_installed", "snapshots_installed", "states_outvoted")
    seen = dict.fromkeys(names, 0.0)
    for seed in (5, 6):
        measures = SCENARIOS["repairs"](4, seed, Settings()).measures
        for name in names:
            seen[name] += measures[name]
    assert all(seen.values()), seen
