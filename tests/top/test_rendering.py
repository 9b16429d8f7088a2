"""The picture of a cluster: what stands in it, at a width of 80."""

import re

import pytest

from node.top.screen import picture
from node.top.snapshot import Delays, Key, Place, Sight, Snapshot

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def serving(name: str, **more: object) -> Sight:
    known: dict[str, object] = {
        "opinions": {"alive": 3},
        "version": Place(1, 42),
        "requests": 1234.5,
        "errors": 0.0,
        "change": 0.0021,
        "delays": Delays(0.0018, 0.0072),
    }
    return Sight(name, "serving", **{**known, **more})  # type: ignore[arg-type]


def of(*nodes: Sight, **more: object) -> Snapshot:
    return Snapshot("grapevine demo", "12:00:00 UTC", nodes, **more)  # type: ignore[arg-type]


def shown(snapshot: Snapshot, columns: int = 80, rows: int = 24) -> list[str]:
    text = ESCAPES.sub("", picture(snapshot, columns, rows))
    return text.replace("\xa0", " ").split("\n")


def row(snapshot: Snapshot, name: str) -> list[str]:
    (found,) = [line.split() for line in shown(snapshot) if line[2:].startswith(name)]
    return found


def test_a_node_that_serves_is_a_row_of_its_figures() -> None:
    assert row(of(serving("node1")), "node1") == [
        *("node1", "serving", "alive", "3/3", "1.42", "0", "1234", "0", "2.1", "1.8/7.2")
    ]


def test_a_killed_node_is_shown_as_ended_and_as_the_others_see_it() -> None:
    dead = Sight("node3", "ended", opinions={"failed": 2}, version=Place(1, 42))
    snapshot = of(serving("node1"), serving("node2"), dead)
    assert row(snapshot, "node3") == [
        *("node3", "ended", "failed", "2/2", "1.42", "0", "-", "-", "-", "-")
    ]
    assert "2 of 3 serve" in shown(snapshot)[0]


def test_lag_counts_revisions_behind_the_newest() -> None:
    behind = serving("node2", version=Place(1, 35))
    assert row(of(serving("node1"), behind), "node2")[5] == "7"
    older = serving("node2", version=Place(0, 99))
    assert row(of(serving("node1"), older), "node2")[5] == "epoch"


def test_a_partition_names_each_nodes_side_and_what_the_other_side_thinks() -> None:
    parted = of(
        serving("node1", side="A"),
        serving("node3", side="B", opinions={"failed": 2, "alive": 1}),
    )
    assert row(parted, "node1")[:3] == ["node1", "A", "serving"]
    assert row(parted, "node3")[:5] == ["node3", "B", "serving", "failed", "2/3"]


def test_a_key_that_does_nothing_now_says_so() -> None:
    last = shown(of(serving("node1"), keys=(Key("k", "kill"), Key("r", "revive", "it runs"))))[-1]
    assert last.strip() == "k kill  r revive (can't)"


def test_the_widest_figures_fit_eighty_columns() -> None:
    wide = serving(
        "a-long-name-of-a-node",
        side="A",
        opinions={"suspect": 50, "alive": 10},
        version=Place(1, 123456),
        change=0.1234,
        delays=Delays(0.0123, 0.0456),
    )
    line = next(line for line in shown(of(wide)) if "suspect" in line)
    assert line.startswith("  a-lo")
    assert line.split()[1:] == [
        *("A", "serving", "suspect", "50/60", "1.123456", "0", "1234", "0"),
        *("123", "12.3/45.6"),
    ]


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (200, 60), (10, 5), (1, 1)])
def test_a_picture_never_has_more_rows_or_columns_than_the_terminal(
    columns: int, rows: int
) -> None:
    nodes = [serving(f"node{number}") for number in range(1, 61)]
    lines = tuple(f"line {number} " + "x" * 100 for number in range(100))
    drawn = shown(of(*nodes, lines=lines, notice="n" * 300), columns, rows)
    assert len(drawn) <= rows
    assert max(map(len, drawn)) <= columns


def test_of_too_many_nodes_those_with_a_problem_are_shown() -> None:
    nodes = [serving(f"node{number}") for number in range(1, 61)]
    nodes[57] = Sight("node58", "no answer", opinions={"failed": 59})
    text = "\n".join(shown(of(*nodes, selected="node60")))
    assert "node58 " in text
    assert "> node60" in text
    assert "node40" not in text
    assert re.search(r"and (4\d) more nodes", text)


def test_no_colour_is_used_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", picture(of(serving("node1")), 80, 24))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", picture(of(serving("node1")), 80, 24))


def test_a_name_is_no_markup() -> None:
    assert "[red]x" in "\n".join(shown(of(serving("[red]x"))))


def test_the_same_snapshot_is_the_same_picture() -> None:
    snapshot = of(serving("node1"), lines=("a line",))
    assert picture(snapshot, 80, 24) == picture(snapshot, 80, 24)
