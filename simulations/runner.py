"""Running scenarios: one, or a batch of seeds on several cores, and what replays a failure."""

import multiprocessing
import shlex
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, NamedTuple

from simulations.scenarios import SCENARIOS
from simulations.settings import Declared, Questions, SettingError, Settings
from simulations.sometimes import MEANINGS
from simulations.whole.sometimes import REQUIRED

COMMAND = "python -m simulations"

SWARMS: dict[str, tuple[int, dict[str, str]]] = {
    "swarm": (400, MEANINGS),
    "whole": (200, REQUIRED),
}
"""The scenarios whose number of nodes a seed may choose: from so many seeds on all of this must
have happened."""
_AHEAD = 4
"""Runs that wait for each process: a slow seed doesn't hold up the others for long."""


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


def options(scenario: str) -> dict[str, object]:
    """What ``--set`` may change there: key -> default."""
    questions = Questions()
    try:
        SCENARIOS[scenario](2, 1, questions)
    except Declared:
        return questions.known()
    raise AssertionError(f"{scenario} doesn't check its settings")


def run(
    request: Request, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Run it; answers what it showed, or why it failed and what replays it.

    Raises SettingError for a setting that the scenario doesn't have.
    """
    outcome: dict[str, Any] = {
        "scenario": request.scenario,
        "nodes": request.nodes,
        "seed": request.seed,
    }
    scenario = SCENARIOS[request.scenario]
    settings = Settings.parse(list(request.settings))
    settings.progress = progress
    try:
        shown = scenario(request.nodes, request.seed, settings)
    except SettingError:
        raise
    except Exception as error:
        # Whatever comes out of a step is a failure of that step, and must name its seed.
        kind = "liveness" if isinstance(error, TimeoutError) else "safety"
        expected = isinstance(error, TimeoutError | AssertionError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        failure = {"verdicts": {kind: "failed"}, "error": text, "replay": request.line()}
        return outcome | {"ok": False, **failure}
    tables = [table._asdict() for table in shown.tables]
    return outcome | {"ok": True, **shown._asdict(), "tables": tables}


def run_all(requests: Iterable[Request], jobs: int) -> Generator[dict[str, Any], None, None]:
    """Run them, several at a time; outcomes come in the order of the requests. Whoever stops
    taking them stops the runs under way."""
    if jobs <= 1:
        yield from map(run, requests)
        return
    # Spawned, so that no lock or state of this process is copied in the middle of something.
    context = multiprocessing.get_context("spawn")
    before = multiprocessing.active_children()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_signals_to_parent)
    waiting: deque[Future[dict[str, Any]]] = deque()
    try:
        for request in requests:
            waiting.append(pool.submit(run, request))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            if process not in before:
                process.terminate()


def _leave_signals_to_parent() -> None:
    """Ctrl-C goes to every process of a terminal's job; one of them answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Batch:
    """The sum of many runs."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self._begun = time.monotonic()
        self.runs = self.events = 0
        self.virtual_seconds = 0.0
        self.interrupted = False
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
        self.virtual_seconds += outcome["virtual_seconds"]
        for name in outcome["sometimes"]:
            self.sometimes[name] = 1 + self.sometimes.get(name, 0)
        for name, value in outcome["measures"].items():
            self.measures.setdefault(name, []).append(value)

    def never(self) -> list[str]:
        """What should have happened in some run and didn't. A short batch isn't judged."""
        least, meanings = SWARMS.get(self._scenario, (self.runs + 1, {}))
        if self.runs < least:
            return []
        return [name for name in meanings if not self.sometimes.get(name)]

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
            "virtual_hours": round(self.virtual_seconds / 3600, 2),
            "events": self.events,
            "ok": not self.failures and not never,
            "interrupted": self.interrupted,
            "failures": self.failures,
            "never": never,
            "sometimes": self.sometimes,
            "measures": spread,
            "runs_per_minute": round(self.runs / seconds * 60, 1),
            "events_per_second": round(self.events / seconds),
        }
