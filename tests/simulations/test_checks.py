"""The checks find what they are for: a view that breaks a rule, put before them."""

from collections.abc import Callable

import pytest

from gossip.events import MemberChanged
from gossip.identity import wire_id
from gossip.limits import COUNTER_MAX
from gossip.member import MemberView, Status
from gossip.messages.membership import Verdict
from gossip.wire import CLEAR, SPOKEN, cluster_digest, encode_header, encode_parts
from simulations import liveness
from simulations.world import World


def world_and_view() -> tuple[World, MemberView]:
    """Three nodes, and what node 0 holds of node 1."""
    world = World(3, seed=1)
    world.form()
    (view,) = (m for m in world.nodes[0].members() if m.id == world.nodes[1].id)
    return world, view


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda view: view._replace(incarnation=0), "moved back"),
        (lambda view: view._replace(incarnation=2), "it is at"),
        (lambda view: view._replace(generation=2), "it is at"),
        (lambda view: view._replace(status="left"), "never began to leave"),
        (lambda view: view._replace(id="f" * 8 + view.id[8:]), "never lived"),
        (lambda view: view._replace(status="failed"), "declared node-1 failed"),
    ],
)
def test_a_view_that_breaks_a_rule_is_found(
    change: Callable[[MemberView], MemberView], rule: str
) -> None:
    world, view = world_and_view()
    with pytest.raises(AssertionError, match=rule):
        world.checks.observed(world.nodes[0], MemberChanged(change(view), "alive"))


def test_a_failed_process_that_is_dead_breaks_no_rule() -> None:
    world, view = world_and_view()
    world.nodes[1].crash()
    world.checks.observed(world.nodes[0], MemberChanged(view._replace(status="failed"), "alive"))


def test_a_replica_that_goes_back_is_found() -> None:
    world, _ = world_and_view()
    world.commit(0, b"x")
    world.nodes[0].replica.forget(1)
    with pytest.raises(AssertionError, match="went back"):
        world.checks.stepped(world.nodes[0])


def test_a_core_that_does_not_find_together_is_found() -> None:
    world, _ = world_and_view()
    world.network.partition([0], [1, 2])
    world.run(120.0)
    with pytest.raises(TimeoutError, match="not one cluster"):
        liveness.settle(world, world.nodes)


def test_an_echo_is_found() -> None:
    world, _ = world_and_view()
    world.run(60.0)
    count = world.nodes[0].core.counters

    def echo() -> None:
        count["datagrams_out"] += 1
        world.schedule(1.0, echo)

    liveness.stay(world, world.nodes)
    echo()
    with pytest.raises(AssertionError, match="packets a probe: an echo"):
        liveness.stay(world, world.nodes)


def test_a_change_in_a_settled_cluster_is_found() -> None:
    world, _ = world_and_view()
    world.schedule(8.0, world.nodes[1].pause)
    world.schedule(15.0, world.nodes[1].resume)
    with pytest.raises(AssertionError, match="a change in a settled cluster"):
        liveness.stay(world, world.nodes)


def test_what_a_member_was_told_must_be_held_unless_it_came_garbled() -> None:
    world, view = world_and_view()
    reader, teller = world.nodes[0], world.nodes[2]
    world.checks.begin_audits()
    told = Verdict(view.id, view.generation, COUNTER_MAX, Status.LEFT, teller.id)
    header = encode_header(
        CLEAR, cluster_digest(reader.cluster), wire_id(teller.id), wire_id(reader.id), SPOKEN
    )
    packet = header + encode_parts([told])
    verdicts = world.checks.told(reader, packet)
    assert verdicts == [told]
    with pytest.raises(AssertionError, match="was told that node-1 is left"):
        world.checks.read(reader, verdicts)
    assert world.checks.told(reader, packet + b"\1\200garbled") == []
