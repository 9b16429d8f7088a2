"""The picture of the live view in README: ``python -m node.demo.picture > docs/images/top.svg``.

What it shows was seen on a demo of three nodes on a busy machine of two cores: node 3 has been
killed, and a route was changed through node 2 while a client asked. It is written down here, so
that the picture is the same whoever makes it.
"""

import io
import sys

from rich.console import Console

from node.top.rendering import render
from node.top.snapshot import Delays, Key, Place, Sight, Snapshot

COLUMNS, ROWS = 80, 14
SEEN = Snapshot(
    "grapevine demo, SQLite",
    "01:03:57 UTC",
    (
        Sight(
            *("node1", "serving", "", {"alive": 2}, Place(1, 6), 90.6, 0.0),
            change=0.00503,
            delays=Delays(0.000733, 0.000855),
        ),
        Sight(
            *("node2", "serving", "", {"alive": 2}, Place(1, 6), 95.7, 0.0),
            change=0.00286,
            delays=Delays(0.00148, 0.00148),
        ),
        Sight("node3", "ended", "exit code -9", {"failed": 2}, Place(1, 2)),
    ),
    "1.6",
    (
        "01:03:39.298  member  node3 is failed (says node1)",
        "01:03:45.283  change  1.3 put routes/hello by node2 (node1 6.6 ms, node2 3.7 ms)",
        "01:03:48.284  change  1.4 put routes/hello by node2 (node1 26.0 ms, node2 17.9 ms)",
        "01:03:51.285  change  1.5 put routes/hello by node2 (node1 7.1 ms, node2 3.8 ms)",
        "01:03:54.285  change  1.6 put routes/hello by node2 (node1 5.0 ms, node2 2.9 ms)",
    ),
    (
        Key("Tab", "choose"),
        Key("k", "kill"),
        Key("r", "revive", "node2 runs"),
        Key("p", "partition"),
        Key("c", "change a route"),
        Key("q", "quit"),
    ),
    "node2",
    "/hello-4 is routed: revision 1.6 through node2; `change ms`: commit until served",
)


def svg(snapshot: Snapshot) -> str:
    """A snapshot as a picture of a terminal."""
    console = Console(
        file=io.StringIO(),
        width=COLUMNS,
        height=ROWS,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        highlight=False,
        record=True,
        _environ={},
    )
    console.print(render(snapshot, ROWS))
    return console.export_svg(title="grapevine demo", unique_id="top")


if __name__ == "__main__":
    sys.stdout.write(svg(SEEN))
