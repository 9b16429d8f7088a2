"""``python -m simulations``, as the contract has it."""

import json

import pytest
from click.testing import CliRunner, Result

from simulations.__main__ import main
from simulations.report import Report
from simulations.scenarios import SCENARIOS
from simulations.settings import Settings

SHORTENED = {
    "swim": ["--set=trials=1"],
    "lifeguard": ["--set=lengths=1"],
    "scale": ["--set=seconds=3"],
}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_list_names_every_scenario_with_what_it_shows() -> None:
    lines = invoke("list").output.splitlines()
    assert [line.split()[0] for line in lines] == list(SCENARIOS)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", list(SCENARIOS))
@pytest.mark.parametrize("nodes", [1, 4])
def test_every_scenario_ends_as_it_must(name: str, nodes: int) -> None:
    shortened = SHORTENED.get(name, [])
    outcome = invoke("run", name, f"--nodes={nodes}", "--seed=5", "--json", *shortened)
    assert outcome.exit_code == 0, outcome.output
    report = json.loads(outcome.stdout)
    assert (report["scenario"], report["nodes"], report["seed"]) == (name, nodes, 5)
    assert report["ok"] is True
    assert len(report["trace_hash"]) == 32


def test_a_run_that_fails_exits_1_and_prints_what_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(nodes: int, seed: int, settings: Settings) -> Report:
        raise TimeoutError(f"nothing after 5 s, loss {settings.get('loss', 0.0)}")

    monkeypatch.setitem(SCENARIOS, "crash", fail)
    outcome = invoke("run", "crash", "--nodes=4", "--seed=5", "--set=loss=0.25")
    assert outcome.exit_code == 1
    line = "python -m simulations run crash --nodes 4 --seed 5 --set loss=0.25"
    assert line in outcome.output
    again = invoke("replay", line)
    assert again.exit_code == 1
    assert "loss 0.25" in again.output
    assert line in again.output


def test_any_error_of_a_step_is_a_failure_that_names_its_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(nodes: int, seed: int, settings: Settings) -> Report:
        raise KeyError("nobody")

    monkeypatch.setitem(SCENARIOS, "crash", fail)
    report = json.loads(invoke("run", "crash", "--seed=9", "--json").stdout)
    assert report["error"] == "KeyError: 'nobody'"
    assert report["replay"].endswith("--seed 9")


def test_a_replay_shows_the_same_trace() -> None:
    arguments = ("run", "swarm", "--nodes", "3", "--seed", "4")
    first = json.loads(invoke(*arguments, "--json").stdout)
    again = invoke("replay", "python", "-m", "simulations", *arguments)
    assert first["trace_hash"] in again.output


def test_a_setting_changes_the_run() -> None:
    def formed(*more: str) -> float:
        outcome = json.loads(invoke("run", "leave", "--nodes=3", "--json", *more).stdout)
        return float(outcome["measures"]["left"])

    assert formed() < 1.0 < formed("--set=leave_delay=3.0")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("nonsense=1", "'nonsense' is no setting here"),
        ("loss=much", "loss: 'much' is not of type float"),
        ("loss", "'loss' is not of the form key=value"),
        ("profile=moon", "profile: 'moon' is none of local, lan, wan"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(setting: str, complaint: str) -> None:
    outcome = invoke("run", "leave", "--nodes=2", f"--set={setting}")
    assert outcome.exit_code == 2
    assert complaint in " ".join(outcome.output.split())


def test_a_batch_runs_on_several_cores_as_on_one() -> None:
    outputs = []
    for jobs in ("1", "2"):
        arguments = ("run", "swarm", "--nodes=2", "--seeds=6", f"--jobs={jobs}", "--json")
        report = json.loads(invoke(*arguments).stdout)
        assert report["ok"]
        assert report["runs"] == 6
        outputs.append((report["sometimes"], report["measures"]))
    assert outputs[0] == outputs[1]


def test_an_unknown_scenario_is_a_usage_error_that_names_the_known_ones() -> None:
    outcome = invoke("run", "nonsense")
    assert outcome.exit_code == 2
    assert "spread" in outcome.output
