"""A run as bands over one axis of time: what was done, how each node fared in the eyes of the
others, and how far each was behind."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from simulations.pictures.recording import STATUSES, Moment, Recording, Seen
from simulations.pictures.scales import Scale, shown
from simulations.pictures.svg import Drawing

WIDTH = 960.0
_LEFT, _RIGHT = 66.0, 14.0
_MARKS, _ROW, _GAP, _AXIS = 34.0, 30.0, 26.0, 40.0
_TRUTH = 5.0
"""The strip below each node's band: how it really was."""
_LAG_ROW = 19.0
LAGS = (
    (0, "none"),
    (1, "1"),
    (3, "2 to 3"),
    (9, "4 to 9"),
    (29, "10 to 29"),
    (10**9, "30 or more"),
)
"""Revisions behind, at most, and what the legend calls that."""
_CLASSES = {
    "runs": "truth-runs",
    "stands still": "truth-still",
    "leaves": "truth-leaves",
    "is down": "truth-down",
    "has no power": "truth-off",
    "not begun": "",
}


class Done(NamedTuple):
    """Something that was done to the world."""

    at: float
    what: str


class Span(NamedTuple):
    """A while in which something stayed the same."""

    begin: float
    end: float
    moment: Moment


def draw(title: str, recording: Recording, done: Sequence[Done], names: Sequence[str]) -> Drawing:
    """Membership above, lag below. What was done is numbered, as its list beside it is."""
    moments = recording.moments
    rows = len(names)
    second = _MARKS + rows * _ROW + _GAP
    height = second + rows * _LAG_ROW + _AXIS
    drawing = Drawing(WIDTH, height, title)
    across = Scale(0.0, moments[-1].at, _LEFT, WIDTH - _RIGHT)
    bottom = second + rows * _LAG_ROW
    for value in across.ticks(10):
        drawing.line(across(value), _MARKS - 6.0, across(value), bottom + 5.0, "grid")
        drawing.text(across(value), bottom + 18.0, shown(value), "label", "middle")
    drawing.text((_LEFT + WIDTH - _RIGHT) / 2, height - 6.0, "seconds", "label", "middle")
    for span in _spans(moments, lambda moment: moment.authority):
        if not span.moment.authority:
            _across(drawing, across, span, _MARKS, bottom - _MARKS, "away", "the authority is away")
    for index, name in enumerate(names):
        y = _MARKS + index * _ROW
        drawing.text(_LEFT - 8.0, y + 16.0, name, "label", "end")
        _membership(drawing, across, moments, index, y)
        _lag(drawing, across, moments, index, second + index * _LAG_ROW)
        drawing.text(_LEFT - 8.0, second + index * _LAG_ROW + 12.0, name, "label", "end")
    _marks(drawing, across, done, bottom)
    return drawing


def _membership(
    drawing: Drawing, across: Scale, moments: Sequence[Moment], index: int, y: float
) -> None:
    """What the others hold a node for, each status as high as its share of them; below it, how the
    node really is; over both, whether it is cut off."""
    high = _ROW - _TRUTH - 5.0
    for span in _spans(moments, lambda moment: moment.nodes[index][1:3]):
        seen = span.moment.nodes[index]
        if not seen.observers:
            continue
        top = y
        for status, count in zip(STATUSES, seen.held, strict=True):
            share = high * count / seen.observers
            told = f"{span.begin:g} s to {span.end:g} s: {_told(seen)}"
            if count:
                _across(drawing, across, span, top, share, f"held-{status}", told)
            top += share
    for span in _spans(moments, lambda moment: moment.nodes[index].condition):
        condition = span.moment.nodes[index].condition
        kind = _CLASSES[condition]
        if kind:
            _across(drawing, across, span, y + high + 1.0, _TRUTH, kind, condition)
    for span in _spans(moments, lambda moment: moment.nodes[index].apart):
        if span.moment.nodes[index].apart:
            _across(drawing, across, span, y, high, "apart", "cut off from most")


def _told(seen: Seen) -> str:
    counted = zip(STATUSES, seen.held, strict=True)
    parts = [f"{count} hold it for {status}" for status, count in counted if count]
    unlisted = seen.observers - sum(seen.held)
    return ", ".join([*parts, *([f"{unlisted} don't list it"] if unlisted else [])])


def _lag(drawing: Drawing, across: Scale, moments: Sequence[Moment], index: int, y: float) -> None:
    for span in _spans(moments, lambda moment: _lag_class(moment.nodes[index].behind)):
        behind = span.moment.nodes[index].behind
        if behind is not None:
            told = f"{span.begin:g} s to {span.end:g} s: {LAGS[_lag_class(behind)][1]} behind"
            kind = f"lag-{_lag_class(behind)}"
            _across(drawing, across, span, y, _LAG_ROW - 2.0, kind, told)


def _lag_class(behind: int | None) -> int:
    if behind is None:
        return -1
    return next(place for place, (most, _) in enumerate(LAGS) if behind <= most)


def _marks(drawing: Drawing, across: Scale, done: Sequence[Done], bottom: float) -> None:
    last = -1e9
    for number, (at, what) in enumerate(done, 1):
        x = across(at)
        drawing.line(x, _MARKS - 8.0, x, bottom, "mark")
        # Beside one another where they would lie on top of each other.
        place = max(x, last + 17.0)
        last = place
        drawing.circle(place, 14.0, 8.0, "marker", f"{at:.1f} s: {what}")
        drawing.text(place, 17.5, f"{number}", "marker-number", "middle")


def _across(
    drawing: Drawing, across: Scale, span: Span, y: float, height: float, kind: str, told: str
) -> None:
    begin = across(span.begin)
    drawing.rect(begin, y, across(span.end) - begin, height, kind, told)


def _spans(moments: Sequence[Moment], by: Callable[[Moment], object]) -> Iterator[Span]:
    """Whiles in which ``by`` answers the same."""
    begun: float | None = None
    held: Moment | None = None
    for _, group in groupby(moments, by):
        first = next(group)
        if begun is not None and held is not None:
            yield Span(begun, first.at, held)
        begun, held = first.at, first
    if begun is not None and held is not None:
        yield Span(begun, moments[-1].at, held)
