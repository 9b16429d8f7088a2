"""What share of something had happened after how long: cumulative distributions side by side."""

from collections.abc import Sequence
from typing import NamedTuple

from simulations.pictures.scales import Scale, percent, shown
from simulations.pictures.svg import Drawing, Point

WIDTH, HEIGHT = 460.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 30.0, 44.0
_POINTS_MAX = 160


class Curve(NamedTuple):
    """Values in the unit of the axis; fewer than ``of`` when some never came."""

    name: str
    kind: str
    """Its class: a colour."""
    values: Sequence[float]
    of: int

    def percentile(self, share: float) -> float | None:
        """The value that this share doesn't exceed; None when so many never came."""
        place = -(-round(share * self.of * 1e6) // 1_000_000)
        return sorted(self.values)[place - 1] if place <= len(self.values) else None


class Limit(NamedTuple):
    """A line across, with its name."""

    value: float
    name: str


def curves(
    title: str,
    unit: str,
    share_of: str,
    drawn: Sequence[Curve],
    low: float,
    high: float,
    *,
    limits: Sequence[Limit] = (),
    logarithmic: bool = True,
    named: bool = False,
) -> Drawing:
    """One panel. ``unit`` stands under its axis, ``share_of`` says what the shares are of; what is
    beyond ``high`` isn't drawn. ``named``: it has a legend of its own."""
    drawing = Drawing(WIDTH, HEIGHT, title)
    across = Scale(low, high, _LEFT, WIDTH - _RIGHT, logarithmic)
    up = Scale(0.0, 1.0, HEIGHT - _BOTTOM, _TOP)
    drawing.text(_LEFT, 16.0, title, "heading")
    drawing.text(WIDTH - _RIGHT, 16.0, f"share of {share_of}", "label", "end")
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.line(_LEFT, up(share), WIDTH - _RIGHT, up(share), "grid")
        drawing.text(_LEFT - 7.0, up(share) + 3.5, percent(share), "label", "end")
    for value in across.between():
        drawing.line(across(value), up(0.0), across(value), up(0.0) + 3.0, "axis")
    for value in across.ticks():
        drawing.line(across(value), up(1.0), across(value), up(0.0) + 5.0, "grid")
        drawing.text(across(value), up(0.0) + 18.0, shown(value), "label", "middle")
    drawing.line(_LEFT, up(0.0), WIDTH - _RIGHT, up(0.0), "axis")
    drawing.text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6.0, unit, "label", "middle")
    for limit in limits:
        drawing.line(across(limit.value), up(1.0), across(limit.value), up(0.0), "limit")
        drawing.text(across(limit.value) - 5.0, up(0.5), limit.name, "label", "end")
    for place, curve in enumerate(drawn):
        drawing.steps(_points(curve, across, up, high), f"curve {curve.kind}", curve.name)
        if named:
            y = up(0.55) + 18.0 * place
            drawing.line(WIDTH - 112.0, y, WIDTH - 92.0, y, f"curve {curve.kind}")
            drawing.text(WIDTH - 86.0, y + 4.0, curve.name)
    return drawing


def _points(curve: Curve, across: Scale, up: Scale, high: float) -> list[Point]:
    values = sorted(curve.values)
    if not values:
        return []
    chosen = sorted({
        *range(0, len(values), max(1, len(values) // _POINTS_MAX)),
        # The last percent is what these pictures are about.
        *range(max(0, len(values) - 40), len(values)),
    })  # fmt: skip
    points: list[Point] = [(across(values[0]), up(0.0))]
    for place in chosen:
        if values[place] <= high:
            points.append((across(values[place]), up((place + 1) / curve.of)))
    if values[-1] <= high:
        points.append((across(high), up(len(values) / curve.of)))
    return points
