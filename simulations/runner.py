"""Running scenarios: one, or a batch of seeds on several cores, and what replays a failure."""

import multiprocessing
import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from simulations.scenarios import SCENARIOS
from simulations.settings import SettingError, Settings
from simulations.sometimes import MEANINGS

COMMAND = "python -m simulations"

BATCH_MIN = 400
"""From so many swarm seeds on, everything in ``simulations.sometimes`` must have happened."""


class Request(NamedTuple):
    """One run."""

    scenario: str
    nodes: int
    """0 leaves it to the seed, where the scenario allows that."""
    seed: int
    settings: tuple[str, ...] = ()
    """``key=value`` texts."""

    def line(self) -> str:
        """What replays this run."""
        words = ["run", self.scenario, "--nodes", str(self.nodes), "--seed", str(self.seed)]
        words += [word for pair in self.settings for word in ("--set", pair)]
        return f"{COMMAND} {shlex.join(words)}"


def run(request: Request) -> dict[str, Any]:
    """Run it; answers what it showed, or why it failed and what replays it.

    Raises SettingError for a setting that the scenario doesn't have.
    """
    outcome: dict[str, Any] = {
        "scenario": request.scenario,
        "nodes": request.nodes,
        "seed": request.seed,
    }
    scenario = SCENARIOS[request.scenario]
    try:
        shown = scenario(request.nodes, request.seed, Settings.parse(list(request.settings)))
    except SettingError:
        raise
    except Exception as error:
        # Whatever comes out of a step is a failure of that step, and must name its seed.
        kind = "liveness" if isinstance(error, TimeoutError) else "safety"
        expected = isinstance(error, TimeoutError | AssertionError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        failure = {"verdicts": {kind: "failed"}, "error": text, "replay": request.line()}
        return outcome | {"ok": False, **failure}
    return outcome | {"ok": True, **shown._asdict()}


def run_all(requests: list[Request], jobs: int) -> Iterator[dict[str, Any]]:
    """Run them, several at a time; outcomes come in the order of the requests."""
    if jobs <= 1 or len(requests) == 1:
        yield from map(run, requests)
        return
    # Spawned, so that no lock or state of this process is copied in the middle of something.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(requests)), mp_context=context) as pool:
        yield from pool.map(run, requests, chunksize=4)


class Batch:
    """The sum of many runs."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self._begun = time.monotonic()
        self.runs = self.events = 0
        self.failures: list[dict[str, Any]] = []
        self.sometimes = dict.fromkeys(MEANINGS, 0)
        """In how many runs each happened."""
        self.measures: dict[str, list[float]] = {}

    def add(self, outcome: dict[str, Any]) -> None:
        self.runs += 1
        if not outcome["ok"]:
            self.failures.append({key: outcome[key] for key in ("seed", "error", "replay")})
            return
        self.events += outcome["events"]
        for name in outcome["sometimes"]:
            self.sometimes[name] += 1
        for name, value in outcome["measures"].items():
            self.measures.setdefault(name, []).append(value)

    def never(self) -> list[str]:
        """What should have happened in some run and didn't. A short batch isn't judged."""
        if self._scenario != "swarm" or self.runs < BATCH_MIN:
            return []
        return [name for name, runs in self.sometimes.items() if not runs]

    def outcome(self) -> dict[str, Any]:
        never = self.never()
        seconds = time.monotonic() - self._begun
        spread = {
            name: {"median": sorted(values)[len(values) // 2], "max": max(values)}
            for name, values in self.measures.items()
        }
        return {
            "scenario": self._scenario,
            "runs": self.runs,
            "ok": not self.failures and not never,
            "failures": self.failures,
            "never": never,
            "sometimes": self.sometimes,
            "measures": spread,
            "runs_per_minute": round(self.runs / seconds * 60, 1),
            "events_per_second": round(self.events / seconds),
        }
