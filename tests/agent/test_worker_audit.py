"""What workers hold is compared with the replica, and one that holds something else is fed anew."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from node.agent.limits import AUDIT_SLICE_BYTES, AUDIT_SLICE_CHANGES
from node.agent.serving import Serving
from node.agent.worker import Worker
from node.agent.worker_audit import WorkerAudit
from node.agent.workers import Workers
from node.channel import Audit
from node.proxy.table import Table
from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Applied, Replica
from store.schema import cold_kinds
from store.version import Head, Version
from tests.proxy.process import route, service

PERIOD = 600.0
SERVICE = service("http://127.0.0.1:80")
COUNT = 5 * AUDIT_SLICE_CHANGES


def state(count: int = COUNT) -> State:
    hot = [SERVICE, *(route(SERVICE, paths=[f"/{number}"]) for number in range(count))]
    cold = [("consumers", f"{number:05d}", "{}") for number in range(100)]
    changes = sorted([*hot, *cold])
    return State(Head(Version(1, 7, 5), b"%032d" % 5), tuple(Change(*one) for one in changes))


def following(head: Head, *changes: Change) -> Changeset:
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


class Slot:
    """What the duty sees of a worker."""

    slot, pid = 0, 1


class Node:
    """A node with one worker, whose frames arrive at once."""

    def __init__(self, count: int = COUNT) -> None:
        self.serving = Serving(Replica("a"), self._applied, lambda: None)
        self.serving.replica.load(state(count))
        self.worker = cast("Worker", Slot())
        self.frames: list[Audit] = []
        self.fed = 0
        self.now = 0.0
        self.pauses: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.on_differs: Callable[[Worker, str], None]
        self.told = False
        self.audit_duty = WorkerAudit(
            self.serving, cast("Workers", self), PERIOD, self._sleep, lambda: self.now
        )
        self.feed_anew(self.worker)
        self.fed = 0

    # What the duty uses of Workers

    def audit(self, frame: Audit) -> None:
        self.frames.append(frame)
        difference = "" if self.told else self.table.difference(frame.rows, frame.counts)
        if difference:
            self.told = True
            self.on_differs(self.worker, difference)

    def feed_anew(self, worker: Worker) -> None:
        assert worker is self.worker
        self.fed += 1
        self.told = False
        self.table = Table(lambda reason: None)
        hot = list(self.serving.replica.pin().changes(leave_out=cold_kinds()))
        self.table.apply(self.serving.version, hot)

    def _applied(self, applied: Applied) -> None:
        self.table.apply(applied.changeset.version, applied.body.changes)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.meanwhile()
        await asyncio.sleep(0)


@pytest.fixture
def node() -> Node:
    return Node()


def corrupt(table: Table) -> None:
    entity_id = sorted(table.routes.held)[-1]
    table.routes.held[entity_id] = table.routes.held[entity_id]._replace(name="corrupted")


async def test_all_hot_entities_are_told_once_in_a_pass(node: Node) -> None:
    await node.audit_duty.look()
    told = [row for frame in node.frames for row in frame.rows]
    assert told == list(node.serving.replica.pin().changes(leave_out=cold_kinds()))
    assert len(told) == COUNT + 1
    assert max(len(frame.rows) for frame in node.frames) == AUDIT_SLICE_CHANGES
    assert node.frames[-1].counts == {"routes": COUNT, "services": 1}
    assert (node.fed, node.audit_duty.counters()["worker_audits"]) == (0, 1)


async def test_a_pass_is_spread_over_the_period(node: Node) -> None:
    await node.audit_duty.look()
    assert len(set(node.pauses)) == 1
    assert 0.8 * PERIOD < node.now <= 1.2 * PERIOD


async def test_a_corrupted_object_in_a_worker_is_found_and_the_worker_fed_anew(node: Node) -> None:
    corrupt(node.table)
    await node.audit_duty.look()
    assert node.fed == 1
    assert node.audit_duty.counters()["worker_audits_failed"] == 1
    assert (node.audit_duty.status()["last_difference"] or "").startswith("routes ")
    await node.audit_duty.look()
    assert node.fed == 1
    assert node.audit_duty.counters()["worker_audits_failed"] == 1


async def test_what_a_worker_has_too_many_of_is_found_at_the_next_slice(node: Node) -> None:
    node.table.apply((1, 7, 5), [route(SERVICE, paths=["/ghost"])])
    await node.audit_duty.look()
    assert node.fed == 1
    assert node.audit_duty.status()["last_difference"] == f"{COUNT + 1} routes instead of {COUNT}"


async def test_changes_during_a_pass_are_no_difference(node: Node) -> None:
    number = 0

    def change() -> None:
        nonlocal number
        number += 1
        gone = sorted(node.table.routes.held)[number]
        changes = (
            Change(*route(SERVICE, paths=[f"/new/{number}"])),
            Change("routes", gone, None),
            Change("consumers", f"x{number}", "{}"),
        )
        changeset = following(node.serving.head(), *changes)
        assert node.serving.offer(*changeset) == "applied"

    node.meanwhile = change
    await node.audit_duty.look()
    assert number > 3
    assert node.fed == 0


async def test_a_worker_that_never_agrees_is_fed_once_in_a_pass(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> str:
        return "never"

    monkeypatch.setattr(Table, "difference", never)
    for done in (1, 2, 3):
        await node.audit_duty.look()
        assert node.fed == done


async def test_slices_are_bounded_by_their_bytes() -> None:
    node = Node(count=0)
    big = [
        Change(*route(SERVICE, paths=[f"/{n}"], tags=["x" * AUDIT_SLICE_BYTES])) for n in range(3)
    ]
    assert node.serving.offer(*following(node.serving.head(), *big)) == "applied"
    await node.audit_duty.look()
    assert max(len(frame.rows) for frame in node.frames) == 1
    assert node.fed == 0


async def test_without_a_state_nobody_is_told_anything(node: Node) -> None:
    node.serving.clear()
    await node.audit_duty.look()
    assert node.frames == []
    assert node.audit_duty.counters()["worker_audits"] == 0
