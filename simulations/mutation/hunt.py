"""Makes mistakes one at a time in a copy of the tree: which test, or which seed, notices?"""

import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from simulations.mutants import ROOT
from simulations.mutation.operators import Mutation, mutations
from simulations.mutation.reach import CHOSEN, REACH
from simulations.mutation.subjects import Subject, subject_of

_COPIED = ("gossip", "store", "node", "simulations", "tests", "benchmarks", "pyproject.toml")
_SPARE_SECONDS = 15
"""For starting, and what the machine's other work adds."""
_SLOWER = 4
"""So many times what a run takes without a mistake may it take with one."""
_WALL = 20
"""So many times the bound on processor time is the one on time by the clock: the last resort."""
_RUN_SECONDS = 60
"""Of the processor, for the simulations of one mistake."""


class Place(NamedTuple):
    """A mistake and where it is made."""

    module: str
    mutation: Mutation
    shown: str


class Fate(NamedTuple):
    """What became of one."""

    place: Place
    killed_by: str
    """A test, a seed, or that it came to no end; empty for one that survived."""
    tests: int
    """Tests that come by its line, and were run or would have been."""

    def line(self) -> str:
        module, mutation, shown = self.place
        what = f"{module}:{mutation.line} {mutation.operator}: {shown}"
        return f"{what}    [{self.killed_by or f'SURVIVED {self.tests} tests'}]"


@dataclass
class Reach:
    """Which tests come by which lines."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Of each test that passes without a mistake, so long it takes."""
    by_line: dict[tuple[str, int], dict[str, None]] = field(default_factory=dict)
    by_module: dict[str, dict[str, None]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Reach":
        reach = cls()
        for name, test in json.loads(text).items():
            if not test["passed"]:
                continue
            reach.seconds[name] = test["seconds"]
            for module, line in test["lines"]:
                reach.by_line.setdefault((module, line), {})[name] = None
                reach.by_module.setdefault(module, {})[name] = None
        return reach

    def tests(self, place: Place, seconds: float) -> list[str]:
        """Those that come by a place, the quickest first, as many as take so long together. What is
        only come by when the module is imported is for all that come by the module."""
        names = self.by_line.get((place.module, place.mutation.line))
        if names is None:
            names = self.by_module.get(place.module, {})
        chosen: list[str] = []
        for name in sorted(names, key=lambda name: (self.seconds[name], name)):
            seconds -= self.seconds[name]
            if seconds < 0.0 and chosen:
                break
            chosen.append(name)
        return chosen


def places(modules: Sequence[str], sample: int | None, seed: int) -> list[Place]:
    """All mistakes that these modules have room for, or so many of them, drawn by the seed."""
    found = []
    for module in modules:
        source = (ROOT / module).read_text()
        found += [Place(module, one, one.shown(source)) for one in mutations(source)]
    if sample is not None and sample < len(found):
        found = [found[at] for at in sorted(random.Random(seed).sample(range(len(found)), sample))]
    return found


class Tree:
    """A copy of the code, in which one mistake at a time is made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root / name)

    def reach(self, modules: Sequence[str], tests: Sequence[str]) -> Reach:
        """Trace these tests. Raises RuntimeError when nothing can be run."""
        out = self.root / "reach.json"
        traced = {"files": [*modules], "out": str(out)}
        run = self._run(3_600, "pytest", *_PYTEST, *tests, **{REACH: json.dumps(traced)})
        if not out.exists():
            raise RuntimeError(f"no test ran: {run.stdout[-1000:]}{run.stderr[-1000:]}")
        return Reach.read(out.read_text())

    def judge(self, place: Place, subject: Subject, reach: Reach, test_seconds: float) -> Fate:
        """Make the mistake, look who notices, and undo it."""
        path = self.root / place.module
        source = path.read_text()
        path.write_text(place.mutation.apply(source))
        try:
            tests = reach.tests(place, test_seconds)
            killed_by = self._test(tests, reach) or self._simulate(subject)
            return Fate(place, killed_by, len(tests))
        finally:
            path.write_text(source)

    def _test(self, tests: list[str], reach: Reach) -> str:
        if not tests:
            return ""
        (self.root / "chosen.json").write_text(json.dumps(tests))
        seconds = _SPARE_SECONDS + _SLOWER * sum(reach.seconds[name] for name in tests)
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        run = self._run(seconds, "pytest", *_PYTEST, "-x", *files, **{CHOSEN: "chosen.json"})
        if run.returncode == 0:
            return ""
        failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].split(" - ")[0] if failed else _came_to_no_end(run.returncode)

    def _simulate(self, subject: Subject) -> str:
        for scenario, *settings in subject.runs:
            words = (scenario, *settings, "--json", "--fail-fast")
            run = self._run(_RUN_SECONDS, "simulations", "run", *words)
            if run.returncode == 0:
                continue
            if not run.stdout:
                return _came_to_no_end(run.returncode)
            outcome = json.loads(run.stdout)
            failures = outcome.get("failures", [outcome])
            return f"{scenario}, seed {failures[0]['seed']}" if failures else ""
        return ""

    def _run(
        self, seconds: float, module: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        bound = int(seconds) + 1
        command = [sys.executable, "-m", "simulations.mutation.launch", str(bound), module]
        outside = {key: value for key, value in os.environ.items() if key not in (REACH, CHOSEN)}
        # A file that is written twice within a second may look the same to whoever compiled it.
        inside = {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=self.root,
            env={**outside, **inside, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=_WALL * bound)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)


_PYTEST = ("-q", "-p", "simulations.mutation.reach", "-p", "no:cacheprovider", "-n", "0")


def _came_to_no_end(code: int) -> str:
    return "no end" if code < 0 else f"exit code {code}"


def hunt(
    modules: Sequence[str],
    sample: int | None,
    seed: int,
    jobs: int,
    test_seconds: float,
    told: Callable[[str], None],
) -> Iterator[Fate]:
    """Judge mistakes in these modules; each fate comes when it and those before it are known."""
    chosen = places(modules, sample, seed)
    subjects = {module: subject_of(module) for module in modules}
    tests = dict.fromkeys(test for subject in subjects.values() for test in subject.tests)
    with tempfile.TemporaryDirectory(prefix="grapevine-mutation-") as directory:
        told(f"{len(chosen)} mistakes in {len(modules)} modules; which tests come by them …")
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for job in range(jobs):
            trees.put(Tree(Path(directory) / str(job)))
        first = trees.get()
        reach = first.reach(modules, [*tests])
        trees.put(first)
        told(f"{len(reach.seconds)} tests pass, in {sum(reach.seconds.values()):.0f} s (traced)")

        def judge(place: Place) -> Fate:
            tree = trees.get()
            try:
                return tree.judge(place, subjects[place.module], reach, test_seconds)
            finally:
                trees.put(tree)

        pool = ThreadPoolExecutor(jobs)
        try:
            yield from pool.map(judge, chosen)
        finally:
            pool.shutdown(cancel_futures=True)
