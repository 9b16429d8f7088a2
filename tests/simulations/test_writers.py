"""Simulated writers over the real engines' code: whatever fails, each answer is true."""

from typing import Any

import pytest

from simulations.runner import Request, run
from simulations.settings import SettingError
from tests.rings import first_few

SEEDS_EACH = 5


def outcome(scenario: str, seed: int, *settings: str, nodes: int = 5) -> dict[str, Any]:
    return run(Request(scenario, nodes, seed, settings))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", first_few(range(1, 61, SEEDS_EACH)))
def test_writers_to_postgres_are_told_the_truth(first: int) -> None:
    for seed in range(first, first + SEEDS_EACH):
        shown = outcome("writers", seed)
        assert shown["ok"], (shown["error"], shown["replay"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", first_few(range(1, 31, SEEDS_EACH)))
def test_writers_to_sqlite_are_told_the_truth(first: int) -> None:
    for seed in range(first, first + SEEDS_EACH):
        shown = outcome("writers", seed, "engine=sqlite")
        assert shown["ok"], (shown["error"], shown["replay"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", ["postgres", "sqlite"])
@pytest.mark.parametrize("first", first_few(range(1, 31, SEEDS_EACH)))
def test_those_who_write_to_a_database_that_loses_commits_end_on_one_history(
    engine: str, first: int
) -> None:
    for seed in range(first, first + SEEDS_EACH):
        shown = outcome("histories", seed, f"engine={engine}")
        assert shown["ok"], (shown["error"], shown["replay"])


@pytest.mark.parametrize("engine", ["postgres", "sqlite"])
def test_a_seed_decides_everything(engine: str) -> None:
    hashes = [outcome("writers", seed, f"engine={engine}")["trace_hash"] for seed in (7, 7, 8)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.long
def test_the_runs_are_not_all_of_one_kind() -> None:
    """What the judge looks for must have had a chance to happen."""
    seen = seen_in("writers")
    refused = {f"refused_{code}" for code in (3, 4, 5, 6, 13)}
    wanted = {"Committed", "AuthorityUnavailable", "OutcomeUnknown", "lost_by_database", *refused}
    assert wanted <= {name for name, number in seen.items() if number}, seen


@pytest.mark.long
def test_histories_part_in_every_way() -> None:
    seen = seen_in("histories", "engine=sqlite")
    wanted = {"HistoryForked", "found_below", "found_reused", "raised", "lost_by_database"}
    assert wanted <= {name for name, number in seen.items() if number}, seen


def seen_in(scenario: str, *settings: str) -> dict[str, float]:
    seen: dict[str, float] = {}
    for seed in range(1, 21):
        for name, number in outcome(scenario, seed, *settings)["measures"].items():
            seen[name] = seen.get(name, 0.0) + number
    return seen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_follows_an_authority_that_fails_over(seed: int) -> None:
    shown = outcome("authority", seed, "seconds=20", nodes=4)
    assert shown["ok"], (shown["error"], shown["replay"])
    assert shown["measures"]["revisions"] > 20


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_cluster_follows_an_authority_that_loses_commits() -> None:
    epochs = 0.0
    for seed in range(1, 9):
        shown = outcome("authority", seed, "seconds=20", "loses=1", nodes=4)
        assert shown["ok"], (shown["error"], shown["replay"])
        epochs += shown["measures"]["epochs"] - 1
    assert epochs > 0, "none was raised"


def test_an_engine_that_does_not_exist_is_named() -> None:
    with pytest.raises(SettingError, match="engine: 'oracle' is none of postgres, sqlite"):
        outcome("writers", 1, "engine=oracle")
