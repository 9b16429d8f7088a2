"""Who of the live nodes listens at the authority."""

import random

from node.agent.limits import LISTENERS
from node.agent.listening import listeners

NODES = [f"node-{number}" for number in range(50)]


def test_as_many_listen_as_are_wanted_and_all_agree_who() -> None:
    shuffled = random.Random(1).sample(NODES, len(NODES))
    assert listeners(NODES, "a") == listeners(shuffled, "a")
    assert len(listeners(NODES, "a")) == LISTENERS


def test_when_one_is_gone_one_takes_its_place_and_the_others_stay() -> None:
    before = listeners(NODES, "a")
    after = listeners(set(NODES) - {before[0]}, "a")
    assert after[:2] == before[1:]


def test_fewer_than_that_all_listen() -> None:
    assert sorted(listeners(NODES[:2], "a")) == NODES[:2]


def test_another_authority_has_others() -> None:
    assert len({tuple(listeners(NODES, str(number))) for number in range(20)}) > 15
