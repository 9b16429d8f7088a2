"""One search: a process with atheris, what it says, and what becomes of what it has found."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, TextIO

from tests.fuzz.target import CORPUS, Target, corpus, load

INPUT_SECONDS_MAX = 20
MEMORY_MB_MAX = 2_048
"""What one input may take: more of either is a finding."""
_RUNS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)
_PROGRESS = re.compile(r"^#(\d+)\s.*?cov: (\d+)", re.MULTILINE)
_HASHED = re.compile(r"[0-9a-f]{40}")
"""Names of inputs that the search has given. Others are of people, and stay."""


class Bounds(NamedTuple):
    """Of one search."""

    runs: int
    """Inputs; -1: without bound."""
    seconds: int
    """0: without bound."""


class Result(NamedTuple):
    """What came of a search."""

    name: str
    inputs: int
    seconds: float
    edges: int
    """Of the control flow, that were gone along."""
    failed: bool
    found: tuple[Path, ...]
    """Inputs that broke something."""
    log: Path


def search(name: str, folder: Path, bounds: Bounds) -> Result:
    """Search one target from the inputs in ``folder``, the tree's and the seeds."""
    log, grown = folder / f"{name}.log", folder / name
    grown.mkdir(exist_ok=True)
    before = set(folder.glob(f"{name}-*"))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as made, log.open("w") as out:
        arguments = [
            *(f"-runs={bounds.runs}", f"-max_total_time={bounds.seconds}", "-print_final_stats=1"),
            *(f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}"),
            f"-artifact_prefix={folder}/{name}-",
            *_words(load(name), Path(made)),
        ]
        ended = _atheris(name, [*arguments, str(grown), *_beginnings(name, Path(made))], out)
    said = log.read_text(errors="replace")
    progress = _PROGRESS.findall(said)
    runs = _RUNS.search(said)
    return Result(
        name,
        int(runs[1]) if runs else int(progress[-1][0]) if progress else 0,
        time.monotonic() - begun,
        int(progress[-1][1]) if progress else 0,
        ended != 0,
        tuple(sorted(set(folder.glob(f"{name}-*")) - before)),
        log,
    )


def minimise(name: str, folder: Path) -> tuple[int, int]:
    """Leave in the tree's corpus, beside inputs with names, only such as are needed to go all ways
    that are known; how many there are, and their bytes."""
    with tempfile.TemporaryDirectory() as made, (folder / f"{name}.log").open("a") as out:
        least = Path(made) / "least"
        least.mkdir()
        arguments = ["-set_cover_merge=1", "-use_counters=0", str(least), str(folder / name)]
        ended = _atheris(name, [*arguments, *_beginnings(name, Path(made))], out)
        if ended != 0:
            raise SystemExit(f"{name} can't be minimised; see {folder / name}.log")
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        for path in corpus(name):
            if _HASHED.fullmatch(path.name):
                path.unlink()
        for path in sorted(least.iterdir()):
            shutil.copy(path, CORPUS / name / path.name)
    kept = corpus(name)
    return len(kept), sum(path.stat().st_size for path in kept)


def _beginnings(name: str, made: Path) -> list[str]:
    """Folders with inputs to begin with: the seeds, which are written there, and the tree's."""
    seeds = made / "seeds"
    seeds.mkdir()
    for seed in load(name).seeds:
        (seeds / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    return [str(seeds), *([str(CORPUS / name)] if corpus(name) else [])]


def _words(target: Target, made: Path) -> list[str]:
    """Arguments for the target's words, in libFuzzer's notation."""
    if not target.words:
        return []
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words]
    (made / "words").write_text("".join(lines))
    return [f"-dict={made / 'words'}"]


def _atheris(name: str, arguments: list[str], out: TextIO) -> int:
    command = [sys.executable, "-m", "tests.fuzz.one", name, *arguments]
    return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
