"""What is to be run: the systems, the sizes, how often and how long."""

import random
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from benchmarks.membership.grounds import Ground, OwnLoopback, SharedLoopback
from benchmarks.membership.programs import ProgramFailed
from benchmarks.membership.report import OURS, Report
from benchmarks.membership.systems import System, Unavailable
from benchmarks.membership.views import AgentsFailed

REASON_LINES_MAX = 25


@dataclass(slots=True)
class Plan:
    """One measure's share of the command line. ``seconds`` is the length of one observation,
    ``settle`` what passes before what is idle is observed."""

    systems: list[System]
    nodes: tuple[int, ...]
    runs: int
    peer_runs: int
    seconds: float
    settle: float
    rng: random.Random

    @property
    def names(self) -> list[str]:
        return [system.name for system in self.systems]

    def runs_of(self, system: System) -> int:
        """How often this system's figure is taken."""
        return self.runs if system.name == OURS else self.peer_runs


def loopback() -> Ground:
    """A loopback of the cluster's own where that can be had, else the machine's."""
    try:
        return OwnLoopback()
    except Unavailable:
        return SharedLoopback()


async def attempt(report: Report, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do a part of a measure; what keeps it from its figures becomes a note.

    False when it failed on the way: figures are missing then. What can't be had on this machine
    wasn't begun, and leaves its rows empty.
    """
    tell(f"{report.measure}: {what}")
    try:
        await work()
    except (Unavailable, AgentsFailed, ProgramFailed) as error:
        reason = "\n    ".join(str(error).splitlines()[:REASON_LINES_MAX])
        unavailable = isinstance(error, Unavailable)
        outcome = "not measured" if unavailable else "broke off"
        report.notes.append(f"{what}: {outcome}: {reason}")
        return unavailable
    return True


def tell(progress: str) -> None:
    """A line for who waits, apart from the report."""
    print(f"  … {progress}", file=sys.stderr, flush=True)
