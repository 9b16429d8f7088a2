"""Known mistakes of membership protocols and of the write rule, as patches: are they found?

A simulator that passes a broken protocol shows nothing. Each patch here breaks one rule that
``gossip.members`` and its neighbours keep, those in ``store/`` one of the write rule's, those in
``history/`` one of those by which epochs are raised, those in ``whole/`` one on which a promise of
whole nodes hangs, those in ``overlay/`` one of a worker's look-ups, those in ``repair/`` one of
those by which replicas repair themselves; it is applied to a copy of the code, and runs of the
copy must fail. A patch finds its place by its text, not by line numbers, so it keeps applying
while the code around it moves.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent
SEEDS_MAX = 200
"""Within so many seeds each mutant must be caught; the rarest shows in one of forty."""
_PACKAGES = ("gossip", "node", "simulations", "store")
_RUNS = {
    "mutants": ("swarm",),
    "store": ("writers", "--nodes=5", "--set=writes=25"),
    "history": ("histories", "--nodes=5"),
    "whole": ("whole",),
    "overlay": ("whole",),
    "repair": ("repairs", "--nodes=4"),
}
"""What is run, by the patch's folder."""


class Hunk(NamedTuple):
    """One change of a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    mistake: str
    """What it does wrong, in a sentence."""
    hunks: tuple[Hunk, ...]
    run: tuple[str, ...] = _RUNS["mutants"]
    """Scenario and options."""

    def apply(self, root: Path) -> None:
        """Make the mistake in the tree at ``root``. Raises ValueError when a hunk's text isn't
        found there exactly once."""
        for hunk in self.hunks:
            path = root / hunk.file
            text = path.read_text()
            found = text.count(hunk.old)
            if found != 1:
                raise ValueError(f"{self.name}: its place in {hunk.file} was found {found} times")
            path.write_text(text.replace(hunk.old, hunk.new))


def read(path: Path) -> Mutant:
    """A patch: a sentence, then a unified diff whose line numbers don't matter."""
    mistake: list[str] = []
    hunks: list[Hunk] = []
    file = ""
    old: list[str] = []
    new: list[str] = []

    def finish() -> None:
        if old or new:
            hunks.append(Hunk(file, "".join(old), "".join(new)))
        old.clear()
        new.clear()

    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("--- "):
            finish()
        elif line.startswith("+++ b/"):
            file = line.removeprefix("+++ b/").strip()
        elif line.startswith("@@"):
            finish()
        elif not file:
            mistake.append(line.strip())
        else:
            sign, rest = line[0], line[1:]
            if sign in " -":
                old.append(rest)
            if sign in " +":
                new.append(rest)
    finish()
    return Mutant(path.stem, " ".join(mistake), tuple(hunks), _RUNS[path.parent.name])


MUTANTS = tuple(read(path) for path in sorted(PATCHES.rglob("*.patch")))


class Hunt(NamedTuple):
    """How the search for one mutant ended."""

    seed: int | None
    """The first seed that caught it; None when none did."""
    error: str


def hunt(mutant: Mutant, seeds: int = SEEDS_MAX, first: int = 1) -> Hunt:
    """Run seeds on a copy of the code with the mistake until one fails."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for package in _PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, copy / package, ignore=ignored)
        mutant.apply(copy)
        command = [sys.executable, "-m", "simulations", "run", *mutant.run, f"--seed={first}"]
        run = subprocess.run(
            [*command, f"--seeds={seeds}", "--fail-fast", "--json"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if not run.stdout:
            raise RuntimeError(f"{mutant.name}: nothing ran: {run.stderr[-500:]}")
        failures = json.loads(run.stdout)["failures"]
    if not failures:
        return Hunt(None, "")
    return Hunt(failures[0]["seed"], failures[0]["error"])
