"""What the world knows of who is who: clusters, names, incarnations that all must hold alike."""

from collections.abc import Callable

import pytest

from gossip.events import MemberChanged, Renamed
from gossip.identity import NOBODY, wire_id
from gossip.member import Status
from gossip.messages.membership import PushPull, Verdict
from gossip.wire import CLEAR, cluster_digest, encode_header, encode_parts
from simulations import liveness
from simulations.node import CLUSTER
from simulations.operations import Crash, Name, Silence, Start, Stranger
from simulations.world import World


def formed(nodes: int = 3) -> World:
    world = World(nodes, seed=6)
    world.form()
    world.run(2.0)
    world.checks.begin_audits()
    return world


def test_a_core_of_one_mind_agrees() -> None:
    world = formed()
    assert liveness.Agreed(world.nodes)()


@pytest.mark.parametrize(
    "change",
    [
        lambda world: setattr(world.nodes[1], "incarnation", 2),
        lambda world: setattr(world.nodes[1], "generation", 2),
        lambda world: world.nodes[1].core.acquaint(
            [world.nodes[2].claim()._replace(incarnation=2)], world.nodes[1].now()
        ),
    ],
    ids=["incarnation", "generation", "two views"],
)
def test_records_that_differ_are_no_agreement(change: Callable[[World], None]) -> None:
    world = formed()
    change(world)
    assert not liveness.Agreed(world.nodes)()


def test_two_of_one_name_are_no_agreement() -> None:
    world = formed()
    claim = world.nodes[2].claim()
    namesake = claim.metadata._replace(name="node-1")
    world.nodes[0].core.acquaint(
        [claim._replace(incarnation=2, metadata=namesake)], world.nodes[0].now()
    )
    world.nodes[2].incarnation = 2
    assert not liveness.Agreed([world.nodes[0]])()


def test_that_somebody_failed_may_be_news_to_some() -> None:
    world = formed()
    world.nodes[2].silence()
    world.run(40.0)
    assert world.nodes[0].status_of(world.nodes[2]) == "failed"
    world.add_node().start()
    world.run(10.0)
    assert liveness.Agreed([*world.nodes[:2], world.nodes[3]])()


def test_a_stranger_becomes_nobodys_member() -> None:
    world = formed()
    Stranger(seconds=60.0)(world)
    world.run(30.0)
    stranger = world.nodes[3]
    assert all(node.status_of(stranger) is None for node in world.nodes[:3])
    assert sum(node.core.counters["dropped_cluster"] for node in world.nodes[:3]) > 0
    assert stranger.alive_seen() == [(stranger.id, 1)]


def test_a_listed_stranger_is_found() -> None:
    world = formed()
    Stranger(seconds=60.0)(world)
    (view,) = (m for m in world.nodes[0].members() if m.id == world.nodes[1].id)
    with pytest.raises(AssertionError, match="which is of another cluster"):
        world.checks.observed(
            world.nodes[0], MemberChanged(view._replace(id=world.nodes[3].id), None)
        )


@pytest.mark.parametrize("lower_restarts", [False, True])
def test_of_two_nodes_of_one_name_the_lower_id_keeps_it(lower_restarts: bool) -> None:
    world = formed()
    node, namesake = (0, 2) if lower_restarts else (2, 0)
    Crash(node)(world)
    Name(node, namesake)(world)
    Start(node)(world)
    world.run_until(lambda: world.checks.sometimes.seen["renamed"] == 1, within=10.0)
    world.run(5.0)
    assert world.nodes[0].called == f"node-{namesake}"
    assert world.nodes[2].called.startswith(f"node-{namesake}~")
    assert liveness.Agreed(world.nodes)()


def test_a_name_given_up_to_nobody_is_found() -> None:
    world = formed()
    Silence(0)(world)
    world.run(5.0)
    lost = Renamed("node-0~2", "node-0", world.nodes[0].address)
    with pytest.raises(AssertionError, match="left its name node-0, and nobody has it"):
        world.checks.observed(world.nodes[2], lost)


def test_an_incarnation_that_a_table_told_and_nobody_holds_is_found() -> None:
    world = formed()
    reader, sender, subject = world.nodes
    told = Verdict(subject.id, 1, 5, Status.FAILED, sender.id)
    header = encode_header(CLEAR, cluster_digest(CLUSTER), wire_id(sender.id), NOBODY)
    frame = header + encode_parts([told, PushPull(answer=True)])
    verdicts = world.checks.told(reader, frame)
    assert verdicts == [told]
    with pytest.raises(AssertionError, match="is failed at 5, and holds it for alive at 1"):
        world.checks.read(reader, verdicts)
