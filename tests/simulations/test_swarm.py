"""Swarm runs: many seeds, each another world that fails."""

import json
import os
import subprocess
import sys

import pytest

from simulations import swarm
from simulations.runner import Batch, Request, run
from simulations.sometimes import MEANINGS
from tests.rings import first_few

_CHUNK = 5
_SHOWN_WITHIN = 400
"""Seeds in which everything in ``simulations.sometimes`` has happened."""


@pytest.mark.parametrize("first", first_few(range(1, 101, _CHUNK)))
def test_swarm_seeds_keep_all_rules(first: int) -> None:
    outcomes = [run(Request("swarm", 0, seed)) for seed in range(first, first + _CHUNK)]
    failures = [outcome["replay"] for outcome in outcomes if not outcome["ok"]]
    assert failures == []


@pytest.mark.long
def test_what_must_happen_sometimes_happens() -> None:
    batch = Batch("swarm")
    for seed in range(1_001, 1_001 + _SHOWN_WITHIN):
        batch.add(run(Request("swarm", 0, seed)))
        if all(batch.sometimes.values()):
            break
    assert [name for name in MEANINGS if not batch.sometimes[name]] == []
    assert batch.failures == []


@pytest.mark.parametrize("nodes", first_few([1, 2, 3, 20], 3))
def test_a_swarm_may_have_a_size_that_was_asked_for(nodes: int) -> None:
    outcome = run(Request("swarm", nodes, 7))
    assert outcome["ok"], outcome
    assert outcome["verdicts"] == {"safety": "ok", "liveness": "ok", "quiet": "ok"}


def test_seeds_choose_different_worlds_and_each_the_same_again() -> None:
    plans = [swarm.draw(seed) for seed in range(200)]
    assert plans == [swarm.draw(seed) for seed in range(200)]
    assert {plan.nodes for plan in plans} == set(range(1, swarm.NODES_MAX + 1))
    assert len({repr(plan.operations) for plan in plans}) == 200


@pytest.mark.long
def test_the_same_seed_gives_the_same_trace_in_processes_with_other_hash_seeds() -> None:
    command = [sys.executable, "-m", "simulations", "run", "swarm", "--nodes=6", "--json"]
    outputs = [
        subprocess.run(
            [*command, "--seed=11"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=100,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(json.loads(outputs[0])["trace_hash"]) == 32


def test_a_batch_in_which_something_never_happens_is_not_ok() -> None:
    batch = Batch("swarm")
    shown = {
        "ok": True,
        "events": 1,
        "virtual_seconds": 1.0,
        "sometimes": {"left": 1},
        "measures": {},
    }
    for _ in range(400):
        batch.add(shown)
    outcome = batch.outcome()
    assert not outcome["ok"]
    assert set(outcome["never"]) == set(MEANINGS) - {"left"}
