"""The paper: one file of HTML with its style in it, for light and for dark screens."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from simulations.pictures.svg import Drawing

_STYLE = Path(__file__).with_name("page.css")


class Key(NamedTuple):
    """One entry of a legend: a class of colour, and its name."""

    kind: str
    name: str


def swatches(keys: Iterable[Key], form: str = "block", name: str = "") -> str:
    """A legend. ``form``: ``block`` or ``stroke``; ``name``: what all of it is about."""
    items = "".join(
        f'<li><svg viewBox="0 0 22 12" class="swatch" aria-hidden="true">'
        f"{_swatch(key.kind, form)}</svg>{escape(key.name)}</li>"
        for key in keys
    )
    heading = f"<li><b>{escape(name)}</b></li>" if name else ""
    return f'<ul class="legend">{heading}{items}</ul>'


def _swatch(kind: str, form: str) -> str:
    if form == "stroke":
        return f'<path class="curve {kind}" d="M0 6L22 6"/>'
    return f'<rect class="{kind}" x="0.5" y="0.5" width="21" height="11"/>'


def figure(drawings: Sequence[Drawing], caption: str, legend: str = "", more: str = "") -> str:
    """Drawings side by side where there is room, and what is seen in them. ``caption`` is HTML."""
    panels = "".join(f'<div class="panel">{drawing}</div>' for drawing in drawings)
    count = "pair" if len(drawings) > 1 else "single"
    return (
        f'<figure>{legend}<div class="panels {count}">{panels}</div>'
        f"<figcaption>{caption}</figcaption>{more}</figure>"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Figures; the first column is their name."""
    head = "".join(f"<th>{escape(one)}</th>" for one in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def folded(summary: str, inner: str) -> str:
    """What not everybody wants to see at once."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def numbered(items: Iterable[str]) -> str:
    return f'<ol class="done">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ol>'


def cards(figures: Iterable[tuple[str, str]]) -> str:
    """A few numbers, and what each is."""
    inner = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in figures
    )
    return f'<div class="cards">{inner}</div>'


def command(line: str) -> str:
    return f"<pre><code>{escape(line)}</code></pre>"


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """The whole file. Leads and sections are HTML, titles are text."""
    contents = "".join(
        f'<li><a href="#s{number}">{escape(name)}</a></li>'
        for number, (name, _) in enumerate(sections, 1)
    )
    body = "".join(
        f'<section id="s{number}"><h2><span>{number}</span> {escape(name)}</h2>{inner}</section>'
        for number, (name, inner) in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text()}</style></head><body>"
        f"{_PATTERNS}<header><h1>{escape(title)}</h1>{lead}<nav><ol>{contents}</ol></nav></header>"
        f"<main>{body}</main></body></html>\n"
    )


_PATTERNS = (
    '<svg width="0" height="0" class="patterns" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="hatch-line" width="1.6" height="6"/></pattern>'
    "</defs></svg>"
)
