"""A few elements of SVG, written as text. Colours are classes, which the page's style has."""

from collections.abc import Iterable
from html import escape

Point = tuple[float, float]


def number(value: float) -> str:
    """To a hundredth of a pixel, without what says nothing."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


class Drawing:
    """A drawing of so many pixels, which grows and shrinks with the page."""

    def __init__(self, width: float, height: float, about: str) -> None:
        self.width = width
        self.height = height
        self._about = about
        self._parts: list[str] = []

    def rect(
        self, x: float, y: float, width: float, height: float, kind: str, told: str = ""
    ) -> None:
        """``told`` is shown when the pointer rests on it."""
        self._add("rect", kind, told, x=x, y=y, width=width, height=height)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def circle(self, x: float, y: float, radius: float, kind: str, told: str = "") -> None:
        self._add("circle", kind, told, cx=x, cy=y, r=radius)

    def path(self, points: Iterable[Point], kind: str, told: str = "") -> None:
        """Straight from point to point."""
        text = "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self._add("path", kind, told, d=f"M{text}")

    def steps(self, points: Iterable[Point], kind: str, told: str = "") -> None:
        """Across to the next point, then up or down."""
        moves = []
        for place, (x, y) in enumerate(points):
            moves.append(f"H{number(x)}V{number(y)}" if place else f"M{number(x)} {number(y)}")
        self._add("path", kind, told, d="".join(moves))

    def text(self, x: float, y: float, text: str, kind: str = "label", anchor: str = "") -> None:
        """``anchor``: ``middle`` or ``end``; else it begins there."""
        where = {"text-anchor": anchor} if anchor else {}
        self._add("text", kind, "", escape(text), x=x, y=y, **where)

    def __str__(self) -> str:
        size = f"0 0 {number(self.width)} {number(self.height)}"
        about = escape(self._about, quote=True)
        return f'<svg viewBox="{size}" role="img" aria-label="{about}">{"".join(self._parts)}</svg>'

    def _add(
        self, element: str, kind: str, told: str = "", text: str = "", **attributes: float | str
    ) -> None:
        values = {"class": kind, **attributes}
        shown = " ".join(
            f'{name}="{value if isinstance(value, str) else number(value)}"'
            for name, value in values.items()
        )
        inner = f"<title>{escape(told)}</title>{text}" if told else text
        self._parts.append(f"<{element} {shown}>{inner}</{element}>" if inner else
                           f"<{element} {shown}/>")  # fmt: skip
