"""Makes a failing run smaller for as long as it fails in the same way.

Delta debugging (Zeller and Hildebrandt, TSE 2002) over the operations that the seed chose, over the
nodes and over the odd settings, again and again until nothing more can go; of other scenarios, over
their settings and their number of nodes. What fails otherwise is another failure, and is left.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from simulations import swarm
from simulations.reduction import Reduction, oddities
from simulations.runner import Request, run
from simulations.settings import SettingError, Settings
from simulations.whole import swarm as whole

Part = TypeVar("Part")


_DRAWN: dict[str, Callable[[int, int | None, float | None], swarm.Plan]] = {
    "swarm": swarm.draw,
    "whole": lambda seed, nodes, seconds: whole.draw(seed, nodes, seconds).plan,
}
"""Scenarios that live through a plan, and how it is drawn."""


class NothingFails(ValueError):
    """The run to be made smaller doesn't fail."""


@dataclass(frozen=True)
class Shrunk:
    """The smallest run that was found."""

    request: Request
    outcome: dict[str, Any]
    runs: int
    finished: bool
    """Whether nothing more can be left out, or the time was over."""
    operations: Sequence[str]
    """What is done in it, and when; empty where the scenario has no plan."""


def verdict(outcome: dict[str, Any]) -> str | None:
    """In which way a run failed: what was judged, and the words of the error without its numbers,
    which change with every operation that is left out. None when it didn't."""
    if outcome["ok"]:
        return None
    (kind,) = outcome["verdicts"]
    error = outcome["error"]
    if kind == "liveness":
        # What follows is how things stood then.
        error = re.split(r"[:(]", error, maxsplit=1)[0]
    words = re.sub(r"\b[0-9a-f]{8,}\b|\d+(\.\d+)?", "#", error)
    return f"{kind}: {re.sub(r'#(, #)+', '#', words).strip()[:200]}"


class _TimeOver(Exception):
    pass


class Shrinker:
    """Works on one run."""

    def __init__(
        self,
        request: Request,
        seconds: float,
        told: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told = told
        self._clock = clock
        self._ends_at = clock() + seconds
        self._request = request
        self._outcome: dict[str, Any] = {}
        self._wanted: str | None = None
        self._seen: dict[Request, bool] = {}
        self._runs = 0

    def shrink(self) -> Shrunk:
        """Raises NothingFails, and SettingError for a run that can't be."""
        self._outcome = run(self._request)
        self._runs = 1
        self._wanted = verdict(self._outcome)
        if self._wanted is None:
            raise NothingFails(f"this doesn't fail: {self._request.line()}")
        self._told(f"fails: {self._wanted}")
        finished = True
        try:
            while self._round():
                pass
        except _TimeOver:
            finished = False
        return Shrunk(self._request, self._outcome, self._runs, finished, [*self._operations()])

    def _round(self) -> bool:
        """Whether something could be left out."""
        before = self._request
        if before.scenario in _DRAWN:
            self._shrink_plan()
        else:
            self._shrink_settings()
        return self._request != before

    def _shrink_plan(self) -> None:
        plan, reduction = self._plan()
        keep = reduction.keep or tuple(range(len(plan.operations)))
        if reduction.keep != ():
            self._least(keep, lambda parts: replace(self._plan()[1], keep=parts))
        odd = oddities(plan) if reduction.odd is None else reduction.odd
        self._least(odd, lambda parts: replace(self._plan()[1], odd=parts))
        members = reduction.members or tuple(range(plan.nodes))
        self._least(members, lambda parts: replace(self._plan()[1], members=parts))
        plan, reduction = self._plan()
        last = max((at for at, _ in reduction.apply(plan).operations), default=0.0)
        ends = reduction.ends or plan.seconds
        for sooner in (last + 1.0, last + 5.0, (last + ends) / 2):
            # To a tenth, so that a line can say it.
            sooner = round(sooner, 1)
            if sooner < ends and self._try(self._with(replace(reduction, ends=sooner))):
                break

    def _least(
        self, parts: tuple[Part, ...], reduced: Callable[[tuple[Part, ...]], Reduction]
    ) -> None:
        least(parts, lambda some: self._try(self._with(reduced(some))))

    def _shrink_settings(self) -> None:
        least(self._request.settings, lambda some: self._try(self._request._replace(settings=some)))
        fewer = 1
        while fewer < self._request.nodes:
            if self._try(self._request._replace(nodes=fewer)):
                break
            # Few at first: what fails with two nodes can be read.
            fewer = fewer + 1 if fewer < 4 else fewer * 2

    def _try(self, request: Request) -> bool:
        """Whether it fails in the same way; it is the one to go on from, then."""
        if request == self._request:
            return True
        if request in self._seen:
            return False
        if self._clock() > self._ends_at:
            raise _TimeOver
        self._seen[request] = True
        try:
            outcome = run(request)
        except SettingError:
            return False
        self._runs += 1
        if verdict(outcome) != self._wanted:
            return False
        self._request, self._outcome = request, outcome
        self._told(f"run {self._runs}: {' '.join(request.settings)}")
        return True

    def _plan(self) -> tuple[swarm.Plan, Reduction]:
        settings = Settings.parse([*self._request.settings])
        seconds = settings.get("seconds", 0.0) or None
        draw = _DRAWN[self._request.scenario]
        plan = draw(self._request.seed, self._request.nodes or None, seconds)
        return plan, Reduction.of(settings)

    def _with(self, reduction: Reduction) -> Request:
        kept = [one for one in self._request.settings if one.startswith("seconds=")]
        return self._request._replace(settings=(*kept, *reduction.settings()))

    def _operations(self) -> Iterator[str]:
        if self._request.scenario in _DRAWN:
            plan, reduction = self._plan()
            for at, operation in reduction.apply(plan).operations:
                yield f"{at:8.2f} s  {operation}"


def least(parts: tuple[Part, ...], fails: Callable[[tuple[Part, ...]], bool]) -> tuple[Part, ...]:
    """Some of the parts of which none can be left out: a minimal list that still fails (ddmin).
    ``fails`` isn't asked about all of them."""
    pieces = 2
    if parts and fails(()):
        return ()
    while len(parts) >= 2:
        size = -(-len(parts) // pieces)
        chunks = [parts[at : at + size] for at in range(0, len(parts), size)]
        for chunk in chunks:
            rest = tuple(part for other in chunks if other is not chunk for part in other)
            if pieces > 2 and len(chunk) < len(parts) and fails(chunk):
                parts, pieces = chunk, 2
                break
            if rest and fails(rest):
                parts, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if pieces >= len(parts):
                break
            pieces = min(2 * pieces, len(parts))
    return parts
