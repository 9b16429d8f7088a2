"""Distributions: how soon a change is everywhere, and how soon a failure is known."""

from collections.abc import Sequence

from simulations.pictures import captions, page
from simulations.pictures.curves import Curve, curves
from simulations.pictures.page import Key
from simulations.pictures.scales import percent
from simulations.pictures.wanted import Wanted
from simulations.reproductions.designs import MODELS
from simulations.reproductions.propagation import ASSUMED, OURS, Case, cases
from simulations.runner import Request, run

_KINDS = dict(zip((OURS, *MODELS), ("ours", "tick", "mesh", "plum"), strict=True))
_LOSSES = (0.01, 0.1)
_ALONE_LOSSES = (0.0, 0.01, 0.05, 0.1)
_SIZES = (3, 10, 32)
_CRASH_NODES = 10
_UNIT, _NODES = "milliseconds since the commit", "nodes"


def propagation(wanted: Wanted) -> str:
    """Ours beside the others, and alone by size and by loss."""
    more = (wanted.changesets, ASSUMED, wanted.seed)
    found = [*cases([wanted.nodes], [*_LOSSES], *more)]
    panels = [
        curves(
            f"{wanted.nodes} nodes, {percent(loss)} lost",
            _UNIT,
            _NODES,
            [_curve(case) for case in found if case.loss == loss],
            0.1,
            2_000.0,
        )
        for loss in _LOSSES
    ]
    sizes = [*(size for size in _SIZES if size < wanted.nodes), wanted.nodes]
    by_size = [
        _curve(case)._replace(name=f"{case.nodes} nodes", kind=f"shade-{place}")
        for place, case in enumerate(cases(sizes, [0.01], *more, (OURS,)))
    ]
    by_loss = [
        _curve(case)._replace(name=f"{percent(case.loss)} lost", kind=f"shade-{place}")
        for place, case in enumerate(cases([wanted.nodes], [*_ALONE_LOSSES], *more, (OURS,)))
    ]
    alone = [
        curves("By size, 1 % lost", _UNIT, _NODES, by_size, 0.1, 200.0, named=True),
        curves(f"By loss, {wanted.nodes} nodes", _UNIT, _NODES, by_loss, 0.1, 200.0, named=True),
    ]
    names = [Key(kind, name) for name, kind in _KINDS.items()]
    return (
        f"<p>{captions.SPREADING}</p>"
        + page.figure(
            panels,
            captions.BESIDE,
            page.swatches(names, "stroke"),
            page.folded("The same in figures", _percentiles(found)),
        )
        + page.figure(alone, captions.BY_SIZE)
    )


def alarms(wanted: Wanted) -> str:
    """How failures are found, and returns noticed."""
    took: dict[str, dict[str, list[float]]] = {}
    for story in ("crash", "silence"):
        for seed in range(wanted.seed, wanted.seed + wanted.alarms):
            outcome = run(Request(story, _CRASH_NODES, seed))
            assert outcome["ok"], outcome["error"]
            for name, value in outcome["measures"].items():
                took.setdefault(story, {}).setdefault(name, []).append(value * 1e3)
    panels = []
    drawn: list[Curve] = []
    for story, title in (
        ("crash", "A process is killed"),
        ("silence", "A machine loses its power"),
    ):
        drawn = [
            Curve("the first doubts it", "tick", took[story]["first_word"], wanted.alarms),
            Curve("all know that it failed", "plum", took[story]["all_say_failed"], wanted.alarms),
            Curve("it is back for all", "ours", took[story]["back"], wanted.alarms),
        ]
        unit = "milliseconds since then, or since the restart"
        panels.append(curves(title, unit, "clusters", drawn, 0.1, 30_000.0))
    keys = [Key(curve.kind, curve.name) for curve in drawn]
    return f"<p>{captions.ALARMS}</p>" + page.figure(
        panels,
        captions.FOUND.format(count=wanted.alarms, nodes=_CRASH_NODES),
        page.swatches(keys, "stroke"),
    )


def _curve(case: Case) -> Curve:
    delays = [delay * 1e3 for delays in case.spread.delays for delay in delays]
    receivers = (case.nodes - 1) * len(case.spread.delays)
    return Curve(case.design, _KINDS[case.design], delays, receivers)


def _percentiles(found: Sequence[Case]) -> str:
    rows = []
    for case in found:
        curve = _curve(case)
        shares = [curve.percentile(share) for share in (0.5, 0.9, 0.99, 0.999)]
        cells = ["never" if value is None else f"{value:.2f}" for value in shares]
        copies = f"{case.spread.payloads:.2f}"
        rows.append([case.design, f"{case.nodes}", percent(case.loss), *cells, copies])
    heads = ["ms until …", "nodes", "lost", "50 %", "90 %", "99 %", "99.9 % have it"]
    return page.table([*heads, "copies per node"], rows)
