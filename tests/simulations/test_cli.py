"""``python -m simulations``, as the contract has it."""

import json

import pytest
from click.testing import CliRunner

from simulations.__main__ import main
from simulations.scenarios import SCENARIOS, Report


def test_list_names_every_scenario_with_what_it_shows() -> None:
    lines = CliRunner().invoke(main, ["list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", list(SCENARIOS))
@pytest.mark.parametrize("nodes", [1, 4])
def test_every_scenario_ends_as_it_must(name: str, nodes: int) -> None:
    outcome = CliRunner().invoke(main, ["run", name, f"--nodes={nodes}", "--seed=5", "--json"])
    assert outcome.exit_code == 0, outcome.output
    report = json.loads(outcome.output)
    assert (report["scenario"], report["nodes"], report["seed"]) == (name, nodes, 5)
    assert report["ok"] is True
    assert len(report["trace_hash"]) == 32


def test_a_run_that_fails_exits_1_and_prints_what_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(nodes: int, seed: int) -> Report:
        raise TimeoutError("nothing after 5 s")

    monkeypatch.setitem(SCENARIOS, "crash", fail)
    outcome = CliRunner().invoke(main, ["run", "crash", "--nodes=4", "--seed=5"])
    assert outcome.exit_code == 1
    assert "python -m simulations run crash --nodes 4 --seed 5" in outcome.output


def test_an_unknown_scenario_is_a_usage_error_that_names_the_known_ones() -> None:
    outcome = CliRunner().invoke(main, ["run", "nonsense"])
    assert outcome.exit_code == 2
    assert "spread" in outcome.output
