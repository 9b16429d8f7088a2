"""Histories written by hand: those that keep the promises, and one for each way to break one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulations.real.checker import VIOLATIONS_MAX, Verdict, check
from simulations.real.history import (
    EVERYWHERE,
    Calm,
    Entry,
    Final,
    History,
    Operation,
    Window,
    WindowKind,
    line,
    load,
    read,
)

NODES = ("node1", "node2", "node3")


def operation(**fields: Any) -> Operation:
    given: dict[str, Any] = {
        "client": "c", "node": "node1", "start": 1.0, "end": 2.0, "key": "r", "outcome": "ok",
    }  # fmt: skip
    return Operation(**{**given, **fields})


def write(value: int, start: float, end: float, outcome: str = "ok", **fields: Any) -> Operation:
    return operation(kind="write", value=value, start=start, end=end, outcome=outcome, **fields)


def get(value: int, start: float, end: float, **fields: Any) -> Operation:
    return operation(kind="read", value=value, start=start, end=end, status=200, **fields)


def failed(start: float, end: float, **fields: Any) -> Operation:
    return operation(kind="read", start=start, end=end, outcome="failed", **fields)


def window(kind: WindowKind, start: float, end: float, node: str = EVERYWHERE) -> Window:
    return Window(kind=kind, node=node, start=start, end=end, fault=f"a {kind}")


def final(*names: str, **values: int) -> Final:
    return Final(names=names, values=values)


def judged(*entries: Entry) -> Verdict:
    history = History()
    for entry in (*entries, *([] if any(isinstance(e, Final) for e in entries) else [final()])):
        history.add(entry)
    return check(history, NODES)


def broken(*entries: Entry) -> list[str]:
    """The rules that a history breaks."""
    return list(judged(*entries).violations)


WRITES = (write(1, 0.0, 1.0, revision="1.1"), write(2, 2.0, 3.0, revision="1.2"))


def test_a_good_history_breaks_nothing_and_is_counted() -> None:
    verdict = judged(
        *WRITES,
        operation(kind="create", key="x", start=3.5, end=4.0, revision="1.3"),
        get(1, 1.0, 1.1, connection=1),
        get(2, 2.1, 2.2, connection=1),
        get(2, 3.0, 3.1, connection=2, node="node3"),
        Calm(start=4.0, end=5.0, bound=9.0, problem=""),
        final("x", r=2),
    )
    assert verdict.violations == {}
    assert verdict.counts["requests"] == 3
    assert verdict.counts["writes"] == 3
    assert verdict.counts["writes lost"] == 0
    assert verdict.counts["calms"] == 1


def test_a_created_thing_that_is_missing_at_the_end_is_a_lost_write() -> None:
    create = operation(kind="create", key="x")
    verdict = judged(create, final("y"))
    assert list(verdict.violations) == ["a committed write is lost"]
    assert verdict.counts["writes lost"] == 1
    assert broken(create, final("x")) == []


def test_a_deleted_thing_that_is_there_at_the_end_is_a_lost_write() -> None:
    create = operation(kind="create", key="x")
    delete = operation(kind="delete", key="x", start=3.0, end=4.0)
    assert broken(create, delete, final("x")) == ["a committed write is lost"]
    assert broken(create, delete, final()) == []


def test_where_commits_may_be_lost_they_are_counted_and_no_violation() -> None:
    create = operation(kind="create", key="x", start=5.0, end=6.0)
    verdict = judged(create, window("lossy", 5.5, 9.0), final())
    assert verdict.ok
    assert verdict.counts["writes lost"] == 1
    assert not judged(create, window("lossy", 7.0, 9.0), final()).ok, "it was safe by then"


@pytest.mark.parametrize("names", [(), ("x",)])
def test_an_unknown_outcome_may_be_either(names: tuple[str, ...]) -> None:
    create = operation(kind="create", key="x", outcome="unknown", status=503)
    assert broken(create, window("authority", 0.0, 2.0), final(*names)) == []


def test_a_write_that_was_refused_must_not_be_there() -> None:
    away = window("authority", 0.0, 2.0)
    create = operation(kind="create", key="x", outcome="refused", status=503)
    assert broken(create, away, final()) == []
    assert broken(create, away, final("x")) == ["a refused write is there"]
    refused = write(3, 4.0, 5.0, "refused", status=503)
    assert "a refused write is there" in broken(*WRITES, refused, get(3, 5.0, 5.1), away)


def test_a_value_is_read_only_once_its_write_has_begun() -> None:
    assert broken(*WRITES, get(2, 1.5, 1.9)) == ["a refused write is there"]
    assert broken(*WRITES, get(7, 4.0, 4.1)) == ["a refused write is there"]


def test_a_write_that_was_tried_again_was_begun_by_its_first_attempt() -> None:
    first = write(1, 0.0, 1.0, "unknown", status=503)
    again = write(1, 3.0, 4.0)
    assert broken(first, again, get(1, 2.0, 2.1), window("authority", 0.0, 1.0), final(r=1)) == []


def test_the_last_acknowledged_value_stands_or_one_of_unknown_outcome_since() -> None:
    unknown = write(3, 4.0, 5.0, "unknown", status=503)
    away = window("authority", 4.0, 5.0)
    assert broken(*WRITES, final(r=1)) == ["a last value doesn't stand"]
    assert broken(*WRITES, unknown, away, final(r=2)) == []
    assert broken(*WRITES, unknown, away, final(r=3)) == []
    assert broken(*WRITES, window("lossy", 1.5, 3.0), final(r=1)) == []


def test_a_connection_doesnt_go_back() -> None:
    older, newer = get(2, 3.0, 3.1, connection=1), get(1, 4.0, 4.1, connection=1)
    assert broken(*WRITES, older, newer) == ["a connection goes back"]
    assert broken(*WRITES, older, replace(newer, connection=2)) == []
    assert broken(*WRITES, older, newer, window("lossy", 3.5, 3.9)) == []


def test_both_sides_of_the_document_are_of_one_order() -> None:
    some = [replace(one, kind="document", key="document") for one in WRITES]
    a = get(2, 3.0, 3.1, connection=1, key="document/a")
    b = get(1, 4.0, 4.1, connection=1, key="document/b")
    assert broken(*some, a, b) == ["a connection goes back"]


def test_what_serves_one_request_is_of_one_version() -> None:
    assert broken(*WRITES, get(2, 3.0, 3.1, parts=("2-ab", "2-ab"))) == []
    assert broken(*WRITES, get(2, 3.0, 3.1, parts=("2-ab", "1-cd"))) == ["a mix is served"]


def test_a_complete_fence_holds_on_every_node_from_its_answer_on() -> None:
    fenced = write(3, 4.0, 5.0, fence="complete; members=3")
    stale = get(2, 5.1, 5.2, node="node3")
    assert broken(*WRITES, fenced, stale) == ["a fence is broken"]
    assert broken(*WRITES, fenced, replace(stale, start=4.9)) == [], "it had begun before"
    assert broken(*WRITES, fenced, replace(stale, value=3)) == []


def test_a_partial_fence_holds_but_on_those_that_it_names() -> None:
    fenced = write(3, 4.0, 5.0, fence="partial; missing=node3; unreachable=node2")
    stale = get(2, 5.1, 5.2, node="node3")
    assert broken(*WRITES, fenced, stale) == []
    assert broken(*WRITES, fenced, replace(stale, node="node2")) == []
    assert broken(*WRITES, fenced, replace(stale, node="node1")) == ["a fence is broken"]


def test_who_wasnt_well_may_be_the_one_that_a_smaller_fence_doesnt_count() -> None:
    fenced = write(3, 60.0, 61.0, fence="complete; members=2")
    stale = get(2, 62.0, 62.1, node="node3")
    assert broken(*WRITES, fenced, stale, window("paused", 10.0, 59.0, "node3")) == []
    assert broken(*WRITES, fenced, stale, window("paused", 5.0, 15.0, "node3")) == [
        "a fence is broken"
    ]


def test_a_least_revision_is_kept() -> None:
    assert broken(*WRITES, get(1, 3.0, 3.1, minimum=2)) == ["a least revision isn't kept"]
    assert broken(*WRITES, get(2, 3.0, 3.1, minimum=2)) == []


def test_revisions_follow_time_across_epochs() -> None:
    later = write(3, 4.0, 5.0, revision="1.2")
    assert broken(*WRITES, later) == ["revisions don't follow time"]
    assert broken(*WRITES, replace(later, revision="2.1")) == []
    assert broken(*WRITES, replace(later, start=2.5, revision="1.1")) == [
        "revisions don't follow time"
    ], "the first had ended before it began"


def test_a_delete_of_what_is_gone_tells_the_revision_that_there_is() -> None:
    delete = operation(kind="delete", key="x", start=4.0, end=5.0, revision="1.2")
    assert broken(*WRITES, delete) == []
    assert broken(*WRITES, replace(delete, revision="1.1")) == ["revisions don't follow time"]


@pytest.mark.parametrize(
    ("some", "explained"),
    [
        (window("down", 5.0, 8.0, "node1"), True),
        (window("down", 5.0, 8.0, "node2"), False),
        (window("down", 1.0, 5.0, "node1"), False),
        (window("paused", 5.0, 8.0, "node1"), True),
        (window("agent", 5.0, 8.0, "node1"), False),
        (window("authority", 5.0, 8.0), False),
        (window("isolated", 5.0, 8.0), False),
        (window("disk", 5.0, 8.0, "node1"), False),
        (window("clock", 5.0, 8.0, "node1"), False),
    ],
)
def test_a_request_may_fail_only_where_its_node_was_down_or_stood_still(
    some: Window, explained: bool
) -> None:
    request = failed(6.0, 6.5, opened=6.0)
    assert broken(request, some) == ([] if explained else ["a failure isn't explained"])


def test_a_killed_worker_takes_its_connections_along_and_no_others() -> None:
    kill = window("worker", 5.0, 5.6, "node1")
    assert broken(failed(4.9, 5.1, opened=1.0), kill) == [], "in flight"
    assert broken(failed(6.0, 6.1, opened=1.0), kill) == [], "used for the first time since"
    assert broken(failed(6.5, 6.6, opened=6.5), kill) == ["a failure isn't explained"]
    assert broken(failed(4.0, 4.1, opened=1.0), kill) == ["a failure isn't explained"]


def test_what_waits_for_the_next_worker_may_wait_in_vain_but_not_be_refused() -> None:
    queue = window("queue", 5.0, 9.0, "node1")
    waited = failed(6.0, 16.0, opened=6.0, detail="TimeoutError()")
    assert broken(waited, queue) == []
    assert broken(replace(waited, start=9.6), queue) == ["a failure isn't explained"]
    assert broken(replace(waited, detail="ConnectionRefusedError"), queue) == [
        "a failure isn't explained"
    ]


def test_writes_are_refused_only_where_the_authority_is_away() -> None:
    refused = write(1, 5.0, 6.0, "refused", status=503)
    assert broken(refused) == ["a failure isn't explained"]
    assert broken(refused, window("authority", 4.0, 5.5)) == []
    assert broken(refused, window("authority", 4.0, 5.5, "node1")) == []
    assert broken(refused, window("isolated", 4.0, 5.5)) == ["a failure isn't explained"]
    assert broken(refused, window("disk", 4.0, 5.5, "node1")) == ["a failure isn't explained"]


def test_nothing_explains_a_500() -> None:
    everything_down = window("down", 0.0, 9.0)
    assert broken(failed(5.0, 6.0, status=502), everything_down) == []
    assert broken(failed(5.0, 6.0, status=500), everything_down) == ["a failure isn't explained"]


def test_a_412_is_explained_by_a_write_of_unknown_outcome_before_it() -> None:
    late = write(2, 5.0, 6.0, "refused", status=412)
    assert broken(late) == ["a failure isn't explained"]
    assert broken(replace(late, raced=True)) == []


def test_a_calm_that_doesnt_converge_is_told() -> None:
    calm = Calm(start=1.0, end=46.0, bound=45.0, problem="node1 sees node2 failed")
    verdict = judged(calm)
    assert verdict.violations == {
        "a calm doesn't converge": ["at 46.0, 45 s after all was healed: node1 sees node2 failed"]
    }


def test_what_the_run_has_noted_and_a_missing_end_are_violations() -> None:
    assert broken("node1 exited with 1") == ["noted"]
    history = History()
    history.add(operation(kind="create", key="x"))
    assert list(check(history, NODES).violations) == ["a committed write is lost"]


def test_of_many_violations_the_first_are_told_and_all_counted() -> None:
    verdict = judged(*(failed(float(n), n + 0.5) for n in range(VIOLATIONS_MAX + 5)))
    [told] = verdict.violations.values()
    assert len(told) == VIOLATIONS_MAX + 1
    assert told[-1] == "… and 5 more"
    assert verdict.counts["failures not explained"] == VIOLATIONS_MAX + 5


def test_a_history_is_what_its_file_says(tmp_path: Path) -> None:
    entries: list[Entry] = [
        get(2, 3.0, 3.1, parts=("2-ab", "2-ab"), connection=7),
        *WRITES,
        window("down", 1.0, 2.0, "node1"),
        Calm(start=1.0, end=2.0, bound=3.0, problem=""),
        final("x", r=2),
        "a note",
    ]
    assert list(read(map(line, entries))) == entries
    file = tmp_path / "history.jsonl"
    file.write_text("".join(line(entry) + "\n" for entry in entries))
    history = load(file)
    assert history.operations == entries[:3]
    assert history.notes == ["a note"]
    assert history.final == final("x", r=2)


def test_at_the_end_every_node_serves_what_the_authority_holds() -> None:
    held = Final(names=(), values={"r": 2}, served={"node1": {"r": 2}, "node2": {"r": 1}})
    assert broken(*WRITES, held) == ["a node serves something else"]
    assert broken(*WRITES, replace(held, served={"node1": {"r": 2}})) == []
