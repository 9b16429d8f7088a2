"""Whole nodes: what a swarm of them keeps, and that each promise's check can fail."""

from collections.abc import Callable
from typing import Any

import pytest

from gossip.profiles import LAN
from simulations.authority import chain
from simulations.authority.log import stored
from simulations.operations import Join, perform
from simulations.runner import Batch, Request, run
from simulations.whole import bounds
from simulations.whole.configuration import KEYS, body_of, entity_id
from simulations.whole.hostile import Hostile
from simulations.whole.operations import ClientWrites
from simulations.whole.sometimes import GOSSIP_6_7, REQUIRED
from simulations.whole.stories import STORIES
from simulations.whole.swarm import draw
from simulations.whole.worker import LookUp
from simulations.whole.world import WholeWorld
from store.verdict import Split, Stance
from tests.rings import first_few

_CHUNK = 4
RUN_HERE = (*[story.__name__ for story in STORIES], "schema_missing", "migrations_retried")
"""Stories that tell of the rows of DESIGN 10 (``test_rows``)."""


def served(nodes: int = 3) -> WholeWorld:
    """A cluster that has taken some writes, which all workers serve."""
    world = WholeWorld(nodes, seed=5, profile=LAN)
    perform(Join(range(nodes)), world)
    world.run_until(lambda: world.now > 1.0 and world.is_whole(), within=30.0)
    for number in range(12):
        ClientWrites(number % nodes, expected="committed")(world)
        world.run(0.05)
    world.run_until(world.has_spread, within=10.0)
    world.run(2.0)
    return world


@pytest.mark.parametrize("first", first_few(range(1, 21, _CHUNK)))
def test_whole_node_seeds_keep_all_promises(first: int) -> None:
    outcomes = [run(Request("whole", 0, seed)) for seed in range(first, first + _CHUNK)]
    assert [outcome["replay"] for outcome in outcomes if not outcome["ok"]] == []


def test_the_same_seed_gives_the_same_trace() -> None:
    one, other = (run(Request("whole", 3, 11)) for _ in range(2))
    assert one == other


def test_a_batch_must_show_all_that_gossip_6_7_names() -> None:
    assert set(GOSSIP_6_7.values()) <= set(REQUIRED)
    assert len(GOSSIP_6_7) == len(set(GOSSIP_6_7.values())) == 20
    batch = Batch("whole")
    shown = {"ok": True, "events": 1, "virtual_seconds": 1.0, "measures": {}}
    for _ in range(200):
        batch.add({**shown, "sometimes": [name for name in REQUIRED if name != "queue_full"]})
    assert batch.never() == ["queue_full"]
    assert not batch.outcome()["ok"]


def test_seeds_choose_different_worlds_and_each_the_same_again() -> None:
    plans = [draw(seed) for seed in range(50)]
    assert plans == [draw(seed) for seed in range(50)]
    assert len({repr(plan.plan.operations) for plan in plans}) == 50


def _worker(world: WholeWorld) -> Any:
    return world.whole_nodes[0].application.agent.process


def _lose_a_route(world: WholeWorld) -> None:
    table = _worker(world).table
    kind = table.routes if table.routes.held else table.services
    kind.apply(next(iter(kind.held)), None)
    world.promises.still(_worker(world))


def _lose_half_a_transaction(world: WholeWorld) -> None:
    worker = _worker(world)
    table = worker.table
    kind = table.services if table.services.held else table.routes
    kind.apply(next(iter(kind.held)), None)
    world.promises.served(worker, worker.version)


def _go_back(world: WholeWorld) -> None:
    epoch, tag, revision = _worker(world).version
    world.promises.served(_worker(world), (epoch, tag, revision - 1))


def _serve_what_nobody_wrote(world: WholeWorld) -> None:
    epoch, tag, revision = _worker(world).version
    world.promises.served(_worker(world), (epoch, tag + 1, revision))


def _take_a_forged_change(world: WholeWorld) -> None:
    node = world.nodes[0]
    (epoch, tag, revision), digest = node.replica.head()
    body = body_of(world.rng, [(KEYS, entity_id(KEYS, 99), None)])
    verdict = node.replica.take((epoch, tag, revision + 1), digest, chain(digest, body), body)
    assert verdict == "applied", verdict
    world.checks.stepped(node)


def _lose_a_commit(world: WholeWorld) -> None:
    del world.authority.log[-1]
    world.promises.p1_nothing_lost()


def _bring_a_key_back(world: WholeWorld) -> None:
    world.promises.found(_worker(world), KEYS, "key", "revoked", ('{"key":"revoked"}',))


def _leave_a_node_behind(world: WholeWorld) -> None:
    world.whole_nodes[0].application.agent.slot = None
    world.promises.p4_all_alike(world.whole_nodes)


def _know_of_a_split(world: WholeWorld) -> None:
    node = world.whole_nodes[0]
    head = stored(world.authority.head())
    stance = Stance(world.authority.server, head, head, holds=True)
    node.application.history._verdict.split = Split(stance, stance)
    world.promises.p6_one_history(world.whole_nodes)


def _serve_without_an_agent(world: WholeWorld) -> None:
    agent = world.whole_nodes[0].application.agent
    slot, agent.slot = agent.slot, None
    world.nodes[0].crash()
    assert slot is not None
    assert not slot.process.ended
    world.run(10.0)


def _stop_listening(world: WholeWorld) -> None:
    _worker(world).listening = False
    world.promises.p4_all_alike(world.whole_nodes)


def _ask_too_often(world: WholeWorld) -> None:
    world.promises.p7_flat(looks=100, seconds=10.0)


def _leak(world: WholeWorld) -> None:
    early: Any = next(
        table for _, _, table in bounds.tables(world.nodes[0].core) if isinstance(table, dict)
    )
    early.update(dict.fromkeys(range(20_000)))
    bounds.check_bounds(world.nodes[0])


def _answer_a_stranger_at_length(world: WholeWorld) -> None:
    hostile = Hostile(world, 1e9)
    hostile.sees(world.nodes[0], ("203.0.113.66", 6_666), bytes(100))
    hostile.stop()


@pytest.mark.parametrize(
    ("break_it", "promise"),
    [
        (_lose_a_route, "P2"),
        (_lose_half_a_transaction, "P2"),
        (_go_back, "P2.*goes back"),
        (_serve_what_nobody_wrote, "P8"),
        (_take_a_forged_change, "P8.*nobody has committed"),
        (_lose_a_commit, "P1"),
        (_bring_a_key_back, "P2.*finds key revoked"),
        (_leave_a_node_behind, "P4"),
        (_stop_listening, "P5"),
        (_serve_without_an_agent, "P2.*without its agent"),
        (_know_of_a_split, "P6"),
        (_ask_too_often, "P7"),
        (_leak, "P7"),
        (_answer_a_stranger_at_length, "P8.*stranger"),
    ],
)
def test_a_broken_promise_is_found(break_it: Callable[[WholeWorld], None], promise: str) -> None:
    world = served()
    with pytest.raises(AssertionError, match=promise):
        break_it(world)


def test_a_worker_that_answers_nothing_is_found() -> None:
    world = served()
    worker = _worker(world)
    what = LookUp(KEYS, "key", "word-0", world.now)
    worker._unanswered[what] = None
    with pytest.raises(AssertionError, match="P5"):
        worker._give_up(what)


def test_a_node_that_held_nothing_feeds_its_worker_once_changesets_come() -> None:
    world = WholeWorld(2, seed=3, profile=LAN)
    world.databases = {1: world.authority.twin(world.authority.server)}
    world.databases[1].available = False
    perform(Join(range(2)), world)
    world.run_until(lambda: world.now > 1.0 and world.is_whole(), within=30.0)
    world.run(40.0)
    ClientWrites(0, expected="committed")(world)
    world.run(1.0)
    process = world.whole_nodes[1].application.agent.process
    assert process is not None
    assert process.version == world.authority.head().version
    assert process.listening


@pytest.mark.parametrize("engine", ["postgres", "sqlite"])
@pytest.mark.parametrize("loses", [0, 1])
@pytest.mark.parametrize("seed", first_few([1, 2]))
def test_whole_nodes_keep_their_promises_over_a_database(
    engine: str, loses: int, seed: int
) -> None:
    options = (f"engine={engine}", f"loses={loses}", "seconds=20")
    assert run(Request("engines", 3, seed, options)).get("error") is None


@pytest.mark.parametrize("name", RUN_HERE)
@pytest.mark.parametrize("nodes", first_few([3, 1]))  # test_cli runs each with one node, too
def test_each_thing_that_goes_wrong_ends_as_design_says(name: str, nodes: int) -> None:
    assert run(Request(name, nodes, 1)).get("error") is None
