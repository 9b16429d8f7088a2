"""Clusters of real replicas, damaged at random while everything else fails."""

import pytest

from simulations.scenarios import SCENARIOS
from simulations.settings import Settings
from tests.rings import first_few

SEEDS_MAX = 20


@pytest.mark.parametrize("seed", first_few(range(6), 3))
def test_replicas_that_are_damaged_at_random_come_back(seed: int) -> None:
    told = SCENARIOS["repairs"](1 + seed % 5, seed, Settings())
    assert told.measures["well_again"] >= 0.0


@pytest.mark.long
def test_every_way_of_repair_is_needed_in_some_of_these_worlds() -> None:
    seen = dict.fromkeys(("reconciles_installed", "snapshots_installed", "states_outvoted"), 0.0)
    for seed in range(SEEDS_MAX):
        measures = SCENARIOS["repairs"](4, seed, Settings()).measures
        for name in seen:
            seen[name] += measures[name]
        if all(seen.values()):
            return
    raise AssertionError(f"in {SEEDS_MAX} worlds: {seen}")
