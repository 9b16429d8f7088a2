"""Many swarm runs at a glance: verdicts, faults, what happened now and then."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from simulations import liveness, swarm
from simulations.pictures import captions, page
from simulations.pictures.bars import Counted, bars
from simulations.pictures.curves import Curve, Limit, curves
from simulations.pictures.page import Key
from simulations.pictures.svg import Drawing
from simulations.pictures.trouble import faults
from simulations.pictures.wanted import Wanted
from simulations.runner import Request, run_all
from simulations.sometimes import MEANINGS

_TILE, _TILES_ACROSS = 30.0, 30
_KINDS_SHOWN = 15


class Batch:
    """Runs, and what they came to."""

    def __init__(self, wanted: Wanted, told: Callable[[int], None]) -> None:
        self.outcomes: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()
        seeds = range(wanted.seed, wanted.seed + wanted.seeds)
        for outcome in run_all((Request("swarm", 0, seed) for seed in seeds), wanted.jobs):
            self.outcomes.append(outcome)
            told(len(self.outcomes))
        for seed in seeds:
            self.faults.update(type(one).__name__ for _, one in faults(swarm.draw(seed)))

    def failures(self) -> list[str]:
        """What replays each run that failed."""
        return [outcome["replay"] for outcome in self.outcomes if not outcome["ok"]]

    def lead(self) -> str:
        """All of it in a word and a few numbers."""
        failed = len(self.failures())
        kind, word = ("bad", f"{failed} failed") if failed else ("", "every run ended as it must")
        events = sum(outcome.get("events", 0) for outcome in self.outcomes)
        seconds = sum(outcome.get("virtual_seconds", 0.0) for outcome in self.outcomes)
        figures = (
            (f"{len(self.outcomes)}", "clusters in which everything may fail"),
            (f"{failed}", "of them failed"),
            (f"{self.faults.total():,}", "faults in them"),
            (f"{seconds / 3600:.1f} h", "of virtual time"),
            (f"{events:,}", "events"),
        )
        return f'<p><span class="verdict {kind}">{word}</span></p>{page.cards(figures)}'

    def section(self, wanted: Wanted) -> str:
        """What all of them show."""
        keys = (Key("ok", "ended as it must"), Key("bad", "failed"))
        return (
            f"<p>{captions.BATCH}</p>"
            + page.figure([self._tiles()], captions.TILES, page.swatches(keys))
            + page.figure([self._settled(), self._kinds()], captions.SETTLED)
            + page.figure([*self._sometimes()], captions.SOMETIMES)
        )

    def _tiles(self) -> Drawing:
        rows = -(-len(self.outcomes) // _TILES_ACROSS)
        drawing = Drawing(_TILES_ACROSS * _TILE + 4, rows * _TILE + 4, "Verdicts by seed")
        for place, outcome in enumerate(self.outcomes):
            x, y = 2 + place % _TILES_ACROSS * _TILE, 2 + place // _TILES_ACROSS * _TILE
            kind = "ok" if outcome["ok"] else "bad"
            drawing.rect(x, y, _TILE - 3, _TILE - 3, kind, _told(outcome))
            label = f"{outcome['seed']}"
            drawing.text(x + _TILE / 2 - 1.5, y + 17.0, label, "tile-number", "middle")
        return drawing

    def _settled(self) -> Drawing:
        shares = []
        for outcome in self.outcomes:
            if outcome["ok"]:
                plan = swarm.draw(outcome["seed"])
                bound = liveness.bound(plan.profile, plan.nodes)
                shares.append(100.0 * outcome["measures"]["settled"] / bound)
        return curves(
            "One cluster again",
            "percent of the bound",
            "clusters",
            [Curve("settled", "ours", shares, len(self.outcomes))],
            0.0,
            110.0,
            limits=[Limit(100.0, "the bound")],
            logarithmic=False,
        )

    def _kinds(self) -> Drawing:
        common = sorted(self.faults.items(), key=lambda one: (-one[1], one[0]))
        return bars("Faults by kind", [Counted(*one) for one in common[:_KINDS_SHOWN]])

    def _sometimes(self) -> Iterator[Drawing]:
        seen = Counter(name for outcome in self.outcomes for name in outcome.get("sometimes", ()))
        counted = [Counted(name, seen[name], meaning) for name, meaning in MEANINGS.items()]
        half = -(-len(counted) // 2)
        for part in (counted[:half], counted[half:]):
            yield bars("What happened now and then", part)


def _told(outcome: dict[str, Any]) -> str:
    plan = swarm.draw(outcome["seed"])
    what = f"seed {outcome['seed']}: {plan.nodes} nodes, {len(faults(plan))} faults; "
    if outcome["ok"]:
        return f"{what}one cluster after {outcome['measures']['settled']:.2f} s"
    return what + str(outcome["error"])
