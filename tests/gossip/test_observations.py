"""Observations: told to every member once, bounded, and never passed on."""

import pytest

from gossip import limits
from gossip.events import Observed
from gossip.messages.observations import Observation
from tests.gossip.drive import Driver, address, alive, node_id


def among_two() -> Driver:
    driver = Driver()
    driver.meet(2, 3)
    return driver


def tell(driver: Driver, body: bytes) -> bool:
    told = driver.core.tell_observation(body, driver.now)
    driver.effects = driver.core.effects()
    return told


def test_an_observation_goes_to_every_member_and_is_no_news_to_who_tells_it() -> None:
    driver = among_two()
    assert tell(driver, b"seen")
    assert driver.sent(Observation) == [
        (address(2), Observation(b"seen")),
        (address(3), Observation(b"seen")),
    ]
    assert driver.events(Observed) == []


def test_what_a_member_observes_is_told_with_its_id_and_goes_no_further() -> None:
    driver = among_two()
    driver.receive(2, Observation(b"seen"))
    assert driver.events(Observed) == [Observed(node_id(2), b"seen")]
    assert driver.sent(Observation) == []


def test_a_data_plane_may_tell_what_it_observes() -> None:
    driver = among_two()
    claim = alive(2, incarnation=2)
    driver.receive(2, claim._replace(metadata=claim.metadata._replace(role="data_plane")))
    driver.receive(2, Observation(b"seen"))
    assert driver.events(Observed) == [Observed(node_id(2), b"seen")]


def test_what_a_stranger_says_it_observes_is_dropped() -> None:
    driver = among_two()
    driver.receive(9, Observation(b"seen"))
    assert driver.events(Observed) == []
    assert driver.core.counters["dropped_stranger"] == 1


def test_who_tells_too_much_is_held_back_for_a_while() -> None:
    driver = among_two()
    most = int(limits.OBSERVATIONS_TOLD_PER_SECOND)
    assert [tell(driver, b"seen") for _ in range(most + 1)] == [True] * most + [False]
    assert driver.core.counters["observations_held_back"] == 1
    driver.now += 1.0
    assert tell(driver, b"seen")


def test_of_a_flood_only_so_much_is_taken() -> None:
    driver = among_two()
    most = int(limits.OBSERVATIONS_HEARD_PER_SECOND)
    for _ in range(most + 5):
        driver.receive(2, Observation(b"seen"))
    assert driver.core.counters["observations_heard"] == most
    assert driver.core.counters["observations_too_many"] == 5


@pytest.mark.parametrize("size", [0, limits.OBSERVATION_BYTES_MAX + 1])
def test_what_no_packet_could_hold_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"an observation of {size} bytes"):
        tell(among_two(), b"o" * size)


def test_a_node_that_has_no_part_any_more_tells_nothing() -> None:
    driver = among_two()
    driver.core.leave(driver.now)
    assert not tell(driver, b"seen")
