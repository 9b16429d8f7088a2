"""From a snapshot to what stands on the screen: a pure function, so that each fact can be tested.

Colours are the terminal's own sixteen on its own background, and never the only sign of anything,
so it reads on dark and light ones and without colours alike.
"""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from node.top.snapshot import Key, Sight, Snapshot, lag

_AROUND = 4
"""Rows that aren't nodes or lines: the title, the heads, the notice, the keys."""
_LINES_MIN = 4
_NODES_MIN = 3

_STYLES = {
    "serving": "green",
    "not ready": "magenta",
    "no answer": "bold red",
    "garbage": "bold red",
    "not asked": "dim",
    "ended": "bold red",
}


def render(snapshot: Snapshot, height: int) -> RenderableType:
    """The picture of a cluster in ``height`` rows; it takes more where there are fewer than ten."""
    room = max(height - _AROUND, _NODES_MIN)
    nodes, hidden = _chosen(snapshot, max(_NODES_MIN, room - _LINES_MIN))
    lines = snapshot.lines[-max(0, room - len(nodes) - bool(hidden)) :]
    parts: list[RenderableType] = [_title(snapshot), _table(snapshot, nodes)]
    if hidden:
        parts.append(_line(f"  … and {hidden} more nodes", "dim"))
    parts.append(_line(snapshot.notice, "bold"))
    parts += [_line(line, "") for line in lines]
    parts += [Text("")] * (room - len(nodes) - bool(hidden) - len(lines))
    parts.append(_keys(snapshot.keys))
    return Group(*parts)


def _chosen(snapshot: Snapshot, room: int) -> tuple[list[Sight], int]:
    """The nodes that are shown, and how many aren't: those with a problem, and the one that keys
    are about, before others; all in their own order."""
    nodes = list(snapshot.nodes)
    if len(nodes) <= room:
        return nodes, 0
    ranked = sorted(
        range(len(nodes)),
        key=lambda number: (
            nodes[number].name != snapshot.selected,
            _is_well(nodes[number]),
            number,
        ),
    )
    shown = sorted(ranked[: room - 1])
    return [nodes[number] for number in shown], len(nodes) - len(shown)


def _is_well(node: Sight) -> bool:
    return node.state in ("serving", "not asked") and set(node.opinions) <= {"alive"}


def _title(snapshot: Snapshot) -> Text:
    title = _line(snapshot.title, "bold")
    serving = sum(node.state == "serving" for node in snapshot.nodes)
    head = snapshot.head()
    title.append(f"   {serving} of {len(snapshot.nodes)} serve", style="not bold")
    title.append(f"   revision {head if head is not None else '-'}", style="not bold")
    title.append(f"   {snapshot.clock}", style="not bold dim")
    return title


def _table(snapshot: Snapshot, nodes: list[Sight]) -> Table:
    head = snapshot.head()
    parted = any(node.side for node in snapshot.nodes)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for title, right in (
        ("  node", False),
        *([("side", False)] if parted else []),
        ("state", False),
        ("seen as", False),
        ("revision", True),
        ("lag", True),
        ("req/s", True),
        ("err/s", True),
        ("change ms", True),
        ("p50/p99", True),
    ):
        table.add_column(
            title,
            justify="right" if right else "left",
            no_wrap=title != "  node",  # what can be wrapped gives way first, and is cut off
            overflow="ellipsis",
        )
    for node in nodes:
        name, *cells = _row(node, node.name == snapshot.selected, lag(node.version, head))
        table.add_row(name, *([Text(node.side or "-", "bold")] if parted else []), *cells)
    return table


def _row(node: Sight, chosen: bool, behind: str) -> list[Text]:
    delays = node.delays
    return [
        Text(
            (">\xa0" if chosen else "\xa0\xa0") + _cut(node.name.replace(" ", "\xa0"), 12),
            style="bold" if chosen else "",
        ),
        Text(node.state, style=_STYLES[node.state]),
        _opinions(node),
        Text(str(node.version) if node.version is not None else "-"),
        Text(behind, style="" if behind in ("0", "-") else "bold magenta"),
        Text(_rate(node.requests)),
        Text(_rate(node.errors), style="bold red" if node.errors else ""),
        Text("-" if node.change is None else _milliseconds(node.change)),
        Text("-" if delays is None else f"{_milliseconds(delays.p50)}/{_milliseconds(delays.p99)}"),
    ]


def _opinions(node: Sight) -> Text:
    """How many of those that answer see it how: ``alive 3/3``, or ``failed 2/3`` as soon as any
    of them doesn't see it alive."""
    if not node.opinions:
        return Text("-")
    total = sum(node.opinions.values())
    others = {status: count for status, count in node.opinions.items() if status != "alive"}
    if not others:
        return Text(f"alive {total}/{total}")
    status = max(others, key=lambda one: (others[one], one))
    return Text(f"{status} {others[status]}/{total}", style="bold red")


def _keys(keys: tuple[Key, ...]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for key in keys:
        if text:
            text.append("  ")
        text.append(key.key, style="dim" if key.obstacle else "bold")
        text.append(f" {key.what}" + (" (can't)" if key.obstacle else ""), style="dim")
    return text


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _rate(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if 0 < value < 10 else f"{value:.0f}"


def _milliseconds(seconds: float) -> str:
    value = seconds * 1000
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
