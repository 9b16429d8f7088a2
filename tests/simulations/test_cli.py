"""``python -m simulations``, as the contract has it."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from simulations.__main__ import main
from simulations.report import Report
from simulations.scenarios import SCENARIOS
from simulations.settings import Settings

SHORTENED = {
    "propagation": ["--set=changesets=5", "--set=losses=0.05"],
    "fence": ["--set=fences=5", "--set=losses=0.05"],
    "repair": ["--set=entities=500", "--set=changed=1,20"],
    "authority-load": ["--set=seconds=30"],
    "swim": ["--set=trials=1"],
    "lifeguard": [
        "--set=lengths=1",
        "--set=slow=1",
        "--set=intervals=4",
        "--set=cycling=5",
        "--set=trials=1",
    ],
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
        ("nonsense=1", "'nonsense' is no setting here; there are profile, probe_interval"),
        ("probe_intervall=1", "is no setting here; did you mean 'probe_interval'?"),
        ("loss=much", "loss: 'much' is not a number"),
        ("loss=1.5", "loss: 1.5 is not from 0 to 0.99"),
        ("loss=nan", "loss: nan is not from 0 to 0.99"),
        ("latency=-1", "latency: -1 is not at least 0"),
        ("probe_interval=0", "probe_interval: 0 is not at least 0.001"),
        ("indirect_checks=2.5", "indirect_checks: '2.5' is not a whole number"),
        ("loss", "'loss' is not of the form key=value"),
        ("profile=moon", "profile: 'moon' is none of local, lan, wan"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(setting: str, complaint: str) -> None:
    outcome = invoke("run", "leave", "--nodes=2", f"--set={setting}")
    assert outcome.exit_code == 2
    assert complaint in " ".join(outcome.output.split())


@pytest.mark.long
def test_a_batch_runs_on_several_cores_as_on_one() -> None:
    outputs = []
    for jobs in ("1", "2"):
        arguments = ("run", "swarm", "--nodes=2", "--seeds=6", f"--jobs={jobs}", "--json")
        report = json.loads(invoke(*arguments).stdout)
        assert report["ok"]
        assert report["runs"] == 6
        outputs.append((report["sometimes"], report["measures"]))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("command", ["run", "list"])
def test_an_unknown_scenario_is_a_usage_error_that_names_the_nearest(command: str) -> None:
    outcome = invoke(command, "swrm")
    assert outcome.exit_code == 2
    told = " ".join(outcome.output.split())
    assert "no scenario is called 'swrm'; did you mean 'swarm'?; there are crash" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seeds=0",),
        ("--seed=-1",),
        ("--nodes=2001",),
        ("--nodes=0",),
        ("--jobs=0",),
        ("--sed=1",),
    ],
)
def test_arguments_out_of_range_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert invoke("run", "crash", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("swarm --seed 7", "'swarm --seed 7' replays nothing; a failure prints a line like"),
        ("python -m simulations rum swarm", "replays nothing; did you mean 'run'?"),
        ("run swarm --set 'loss=0.1", "No closing quotation"),
        ("python -m simulations run swarn --seed 7", "did you mean 'swarm'?"),
        ("run swarm --seed seven", "'seven' is not a valid integer"),
    ],
)
def test_a_line_that_replays_nothing_is_a_usage_error(line: str, complaint: str) -> None:
    outcome = invoke("replay", line)
    assert outcome.exit_code == 2
    assert complaint in " ".join(outcome.output.split())


def test_list_of_one_scenario_says_what_can_be_set_there() -> None:
    told = invoke("list", "swim").output
    for setting in ("trials", "sizes", "loss", "suspicion_mult"):
        assert f"  {setting} " in told


def test_every_option_is_explained() -> None:
    for name, command in main.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"


@pytest.mark.long
def test_with_json_there_is_one_object_and_no_bar() -> None:
    for arguments in (["--seeds=3"], ["--nodes=3"]):
        outcome = invoke("run", "swarm", *arguments, "--json")
        assert len(outcome.stdout.splitlines()) == 1
        assert "seeds" not in outcome.stderr
        assert json.loads(outcome.stdout)["ok"]


def stopping(monkeypatch: pytest.MonkeyPatch, at: int, failing: tuple[int, ...] = ()) -> None:
    """Have Ctrl-C come in the middle of a seed."""

    def scenario(nodes: int, seed: int, settings: Settings) -> Report:
        if seed == at:
            raise KeyboardInterrupt
        if seed in failing:
            raise TimeoutError("as arranged")
        return Report(1.0, 1, "0" * 32, {}, {}, {})

    monkeypatch.setitem(SCENARIOS, "crash", scenario)


@pytest.mark.parametrize(
    ("arguments", "failing", "exit_code"),
    [
        (["--seeds=9"], (), 130),
        (["--forever"], (), 0),
        (["--forever"], (3,), 1),
        (["--seeds=9"], (3,), 1),
    ],
)
def test_ctrl_c_ends_a_batch_with_a_summary(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], failing: tuple[int, ...], exit_code: int
) -> None:
    stopping(monkeypatch, at=5, failing=failing)
    outcome = invoke("run", "crash", *arguments, "--json")
    assert outcome.exit_code == exit_code
    summary = json.loads(outcome.stdout)
    assert (summary["runs"], summary["interrupted"]) == (4, True)
    assert [one["seed"] for one in summary["failures"]] == list(failing)


def test_for_ever_lasts_as_long_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping(monkeypatch, at=10**9)
    outcome = invoke("run", "crash", "--forever", "--minutes=0.001", "--json")
    assert outcome.exit_code == 0
    summary = json.loads(outcome.stdout)
    assert summary["runs"] >= 1
    assert not summary["interrupted"]
    assert invoke("run", "crash", "--minutes=1").exit_code == 2


def test_ctrl_c_ends_a_single_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping(monkeypatch, at=5)
    outcome = invoke("run", "crash", "--seed=5")
    assert outcome.exit_code == 130
    assert outcome.stderr == "stopped\n"


def test_what_replays_a_failure_is_kept_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopping(monkeypatch, at=0, failing=(2, 4))
    kept = tmp_path / "failed"
    outcome = invoke("run", "crash", "--seeds=5", f"--keep={kept}")
    assert outcome.exit_code == 1
    assert outcome.stderr.count("FAILED  python -m simulations run crash") == 2
    lines = kept.read_text().splitlines()
    assert lines == [
        f"python -m simulations run crash --nodes 10 --seed {seed} # as arranged" for seed in (2, 4)
    ]
    assert invoke("replay", lines[0].partition("#")[0]).exit_code == 1


def test_ctrl_c_stops_processes_side_by_side(tmp_path: Path) -> None:
    """Nothing forms where packets take 40 seconds, and the file of failures tells how far it is."""
    kept = tmp_path / "failed"
    command = [sys.executable, "-m", "simulations", "run", "crash", "--nodes=2", "--forever"]
    process = subprocess.Popen(
        [*command, "--jobs=2", "--set=latency=40", f"--keep={kept}", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever starts the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not kept.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1, stderr
    assert json.loads(stdout)["interrupted"]
    assert "Traceback" not in stderr
