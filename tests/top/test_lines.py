"""What is printed of what the nodes tell."""

import json
from typing import Any

import pytest

from node.top.limits import SETTLE_SECONDS
from node.top.lines import Lines, parse_event


def revision(number: int, at: float, committed_at: float = 100.0) -> dict[str, Any]:
    return {
        "type": "revision",
        "at": at,
        "revision": f"1.{number}",
        "origin": "id-1",
        "committed_at": committed_at,
        "changes": [["put", "routes", "new"]],
    }


def view_of_two() -> tuple[Lines, list[str]]:
    lines: list[str] = []
    view = Lines(lines.append)
    for number in (1, 2):
        view.node_is(f"node{number}", running=True)
        view.member(f"id-{number}", f"node{number}", "alive", "node1", 99.0)
    lines.clear()
    return view, lines


def test_a_change_is_one_line_with_the_time_it_took_to_each_node() -> None:
    view, lines = view_of_two()
    view.event("node1", revision(4, 100.002))
    assert lines == []
    view.event("node2", revision(4, 100.0041))
    assert lines == [
        "00:01:40.000  change  1.4 put routes/new by node1 (node1 2.0 ms, node2 4.1 ms)"
    ]


def test_a_change_that_a_node_does_not_report_is_printed_without_it() -> None:
    view, lines = view_of_two()
    view.event("node1", revision(4, 100.002))
    view.tick(100.0)
    assert lines == []
    view.tick(100.003 + SETTLE_SECONDS)
    assert lines[0].endswith("(node1 2.0 ms, node2 not yet)")
    view.event("node2", revision(4, 105.0))
    assert len(lines) == 1


def test_a_node_that_does_not_run_is_not_waited_for() -> None:
    view, lines = view_of_two()
    view.node_is("node2", running=False)
    view.event("node1", revision(4, 100.002))
    assert lines[0].endswith("(node1 2.0 ms)")


def test_a_member_event_is_printed_once_whoever_reports_it() -> None:
    view, lines = view_of_two()
    failed = {"type": "member", "id": "id-2", "name": "node2", "status": "failed", "at": 101.5}
    view.event("node1", failed)
    view.event("node3", failed)
    assert lines == ["00:01:41.500  member  node2 is failed (says node1)"]


def test_only_data_lines_of_a_stream_are_events() -> None:
    assert parse_event(b'data: {"type": "other"}\n') == {"type": "other"}
    for line in (b"", b": keep-alive\n", b"event: member\n", b"id: 5\n"):
        assert parse_event(line) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 1e300},
        {"at": "now"},
        {"at": -1},
        {"committed_at": None},
        {"revision": 5},
        {"revision": "x" * 2_000},
        {"origin": []},
        {"changes": [["put"]]},
        {"changes": "all"},
    ],
)
def test_an_event_that_makes_no_sense_is_none(wrong: dict[str, Any]) -> None:
    assert parse_event(f"data: {json.dumps(revision(4, 100.0))}".encode())
    with pytest.raises(ValueError, match="makes no sense"):
        parse_event(f"data: {json.dumps({**revision(4, 100.0), **wrong})}".encode())


def test_what_others_wrote_moves_no_cursor() -> None:
    lines, written = view_of_two()
    lines.member("id-3", "\x1b[2Jnode3\n", "alive", "node1", 100.0)
    assert written == [r"00:01:40.000  member  \x1b[2Jnode3\n is alive (says node1)"]
