"""How often things happened: bars with their names."""

from collections.abc import Sequence
from typing import NamedTuple

from simulations.pictures.scales import Scale
from simulations.pictures.svg import Drawing

_ROW, _TOP = 18.0, 8.0


class Counted(NamedTuple):
    name: str
    times: int
    told: str = ""
    """What it is, at length."""


def bars(title: str, counted: Sequence[Counted], width: float = 460.0) -> Drawing:
    """One row each, in the order given, each with its number."""
    left = width * 0.42
    drawing = Drawing(width, _TOP + _ROW * len(counted) + 6.0, title)
    most = max((one.times for one in counted), default=1) or 1
    across = Scale(0.0, most, left, width - 44.0)
    for place, (name, times, told) in enumerate(counted):
        y = _TOP + place * _ROW
        drawing.text(left - 8.0, y + 12.0, name, "label", "end")
        drawing.rect(left, y + 3.0, max(across(times) - left, 0.75), _ROW - 7.0, "bar", told)
        drawing.text(across(times) + 6.0, y + 12.0, f"{times:,}", "figure")
    return drawing
