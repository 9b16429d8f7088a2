"""Failing runs are made smaller for as long as they fail in the same way."""

import itertools
import json

import pytest
from click.testing import CliRunner

from gossip.member import Status
from gossip.members import Members
from simulations import swarm
from simulations.__main__ import main
from simulations.links import Link
from simulations.reduction import Reduction, oddities
from simulations.report import Report
from simulations.runner import Request, run
from simulations.scenarios import SCENARIOS
from simulations.settings import SettingError, Settings
from simulations.shrinking import NothingFails, Shrinker, least, verdict


@pytest.fixture
def mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever falls silent is said to have left, as ``mutants/taking_death_for_leave`` has it."""
    judged = Members.verdict

    def misjudged(self: Members, member: object, status: Status, *rest: object) -> object:
        return judged(self, member, Status.LEFT if status is Status.FAILED else status, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Members, "verdict", misjudged)


def failing_seed() -> Request:
    for seed in itertools.count(1):
        request = Request("swarm", 0, seed)
        operations = len(swarm.draw(seed).operations)
        if operations > 30 and not run(request)["ok"]:
            return request
    raise AssertionError


@pytest.mark.usefixtures("mistake")
def test_a_known_mistake_shrinks_to_a_handful_of_operations() -> None:
    request = failing_seed()
    shrunk = Shrinker(request, seconds=1e6).shrink()
    assert shrunk.finished
    assert len(shrunk.operations) <= 5, shrunk
    assert verdict(shrunk.outcome) == verdict(run(request))
    # What it prints says all: another process would come to the same.
    again = run(shrunk.request)
    assert again["error"] == shrunk.outcome["error"]
    assert Shrinker(request, seconds=1e6).shrink() == shrunk


@pytest.mark.usefixtures("mistake")
def test_when_the_time_is_over_the_smallest_so_far_counts() -> None:
    request = failing_seed()
    clock = itertools.count()
    shrunk = Shrinker(request, 8.0, clock=lambda: float(next(clock))).shrink()
    assert not shrunk.finished
    assert shrunk.runs <= 10
    assert not run(shrunk.request)["ok"]


def test_a_run_that_does_not_fail_is_not_shrunk() -> None:
    with pytest.raises(NothingFails, match="this doesn't fail: python -m simulations run swarm"):
        Shrinker(Request("swarm", 2, 1), seconds=60.0).shrink()


def test_of_another_scenario_settings_and_nodes_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(nodes: int, seed: int, settings: Settings) -> Report:
        loss, jitter = settings.get("loss", 0.0), settings.get("jitter", 0.0)
        settings.check_used()
        if nodes >= 3 and loss > 0.1:
            raise TimeoutError(f"not one cluster {nodes + jitter} s after healing")
        if nodes >= 2:
            raise AssertionError("something else")
        return Report(1.0, 1, "0" * 32, {}, {}, {})

    monkeypatch.setitem(SCENARIOS, "crash", fail)
    line = Request("crash", 12, 7, ("jitter=0.5", "loss=0.2")).line()
    outcome = CliRunner().invoke(main, ["shrink", "--seconds=60", line])
    assert outcome.exit_code == 0, outcome.output
    told = outcome.stdout.splitlines()
    assert told[-1] == "python -m simulations run crash --nodes 3 --seed 7 --set loss=0.2"
    assert told[-3] == "not one cluster 3.0 s after healing"


def test_what_does_not_fail_or_replays_nothing_is_said() -> None:
    assert CliRunner().invoke(main, ["shrink", "run swarm --nodes 2 --seed 1"]).exit_code == 1
    assert CliRunner().invoke(main, ["shrink", "nonsense"]).exit_code == 2
    wrong = CliRunner().invoke(main, ["shrink", "run swarm --nodes 2 --set los=1"])
    assert wrong.exit_code == 2
    assert "did you mean 'loss'" in wrong.output or "'los' is no setting here" in wrong.output


@pytest.mark.parametrize("needed", [(), (0,), (3, 7), (0, 19), (1, 2, 3, 4, 17)])
def test_the_least_that_fails_is_found_and_nothing_can_be_left_out_of_it(
    needed: tuple[int, ...],
) -> None:
    asked: list[tuple[int, ...]] = []

    def fails(parts: tuple[int, ...]) -> bool:
        asked.append(parts)
        return set(needed) <= set(parts)

    assert least(tuple(range(20)), fails) == needed
    assert len(asked) <= 120


def test_what_is_left_is_said_in_settings_and_read_from_them() -> None:
    for reduction in (
        Reduction(),
        Reduction(keep=()),
        Reduction((0, 3, 4, 5, 9), (0, 2), ("loss", "skewed"), 12.5),
        Reduction(odd=()),
    ):
        assert Reduction.of(Settings.parse([*reduction.settings()])) == reduction
    assert Reduction((0, 3, 4, 5, 9)).settings() == ("keep=0,3-5,9",)


def test_what_is_left_out_is_not_there_any_more() -> None:
    plan = swarm.draw(4)
    assert oddities(plan)
    plain = Reduction(odd=()).apply(plan)
    assert oddities(plain) == ()
    assert plain.link == Link()
    for name in oddities(plan):
        assert oddities(Reduction(odd=(name,)).apply(plan)) == (name,)
    assert Reduction(keep=(1,)).apply(plan).operations == [plan.operations[1]]
    assert Reduction(ends=3.0).apply(plan).seconds == 3.0


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("keep=5000", "keep: 5000 isn't there"),
        ("keep=1-", "keep: '1-' is neither a number nor two with a dash"),
        ("odd=loss,los", "odd: los isn't there"),
        ("members=3-4", "members: none of the core's first 3 nodes is left"),
    ],
)
def test_what_is_not_there_cannot_be_left(setting: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        run(Request("swarm", 5, 1, (setting,)))


def test_nodes_that_are_left_out_never_start() -> None:
    outcome = CliRunner().invoke(
        main, ["run", "swarm", "--nodes=5", "--seed=2", "--set=members=0-2", "--set=keep=none",
               "--json"],
    )  # fmt: skip
    assert json.loads(outcome.stdout)["ok"], outcome.stdout
