"""Each kind of fault, by itself."""

import random

import pytest

from gossip.keyring import configured
from simulations import swarm
from simulations.faults import FAULTS, Fault
from simulations.operations import perform
from simulations.world import World


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_a_fault_may_happen_to_a_cluster_of_any_size(fault: Fault, nodes: int) -> None:
    world = World(nodes, seed=4, keyring=configured(bytes(32)))
    world.form()
    world.checks.begin_audits()
    for at, operation in sorted(fault(random.Random(nodes), nodes), key=lambda one: one[0]):
        world.run(max(0.0, at - world.now))
        perform(operation, world)
    world.run(1.0)


def test_every_kind_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, int] = {}

    def counting(fault: Fault) -> Fault:
        def counted(rng: random.Random, nodes: int) -> list[tuple[float, object]]:
            drawn[fault.__name__] = drawn.get(fault.__name__, 0) + 1
            return fault(rng, nodes)  # type: ignore[return-value]

        return counted  # type: ignore[return-value]

    monkeypatch.setattr(swarm, "FAULTS", tuple(map(counting, FAULTS)))
    for seed in range(100):
        swarm.draw(seed)
    assert sorted(drawn) == sorted(fault.__name__ for fault in FAULTS)
