"""Joining, exchanging tables and reconnecting, driven by hand at one node."""

import pytest

from gossip.effects import OpenStream, ResolveSeeds
from gossip.member import Status
from gossip.messages import Alive, PushPull, Verdict
from gossip.profiles import LAN
from tests.gossip.drive import Driver, address, alive, packet, verdict


@pytest.fixture
def driver() -> Driver:
    return Driver(LAN)


def resolve(driver: Driver, *numbers: int) -> None:
    driver.core.seeds_resolved([address(number) for number in numbers], driver.now)
    driver.effects = driver.core.effects()


def opened(driver: Driver) -> list[tuple[str, int]]:
    return [effect.address for effect in driver.done(OpenStream)]


def test_seeds_are_asked_for_at_the_start_and_then_joined(driver: Driver) -> None:
    assert ResolveSeeds() in driver.core.effects()
    resolve(driver, 1, 2, 3)
    assert sorted(opened(driver)) == [address(2), address(3)], "not this node itself"
    assert driver.framed(PushPull) == [PushPull(False)] * 2


def test_the_answer_to_a_join_makes_members(driver: Driver) -> None:
    resolve(driver, 2)
    (stream,) = driver.done(OpenStream)
    table = packet(2, alive(2), alive(3), verdict(3, Status.SUSPECT, by=2), PushPull(True))
    driver.core.frame_received(stream.stream, table, driver.now)
    assert (driver.status(2), driver.status(3)) == ("alive", "suspect")


def test_a_join_is_answered_with_the_whole_table_and_told_to_the_others(driver: Driver) -> None:
    driver.meet(2, 3)
    driver.receive(2, verdict(3, Status.FAILED))
    driver.receive_table(4, alive(4), PushPull(False))
    assert {claim.node_id[-1] for claim in driver.framed(Alive)} == {"1", "2", "4"}
    assert [claim.status for claim in driver.framed(Verdict)] == [Status.FAILED]
    told = [where for where, claim in driver.sent(Alive) if claim.node_id == alive(4).node_id]
    assert told == [address(2)]


def test_while_alone_the_seeds_are_tried_again(driver: Driver) -> None:
    resolve(driver, 2)
    for stream in driver.done(OpenStream):
        driver.core.stream_closed(stream.stream, driver.now)
    driver.pass_time(1.0)
    assert opened(driver)
    assert ResolveSeeds() in driver.effects


def test_failed_members_are_tried_again_for_as_long_as_they_are_listed(driver: Driver) -> None:
    driver.meet(2, 3)
    driver.receive(2, verdict(3, Status.FAILED))
    attempts = 0
    for _ in range(20):
        driver.pass_time_answering(LAN.reconnect_interval, 2)
        attempts += driver.core.counters["push_pulls"]
    assert driver.status(3) == "failed"
    assert driver.core.counters["push_pulls"] >= 10


def test_a_silent_seed_is_tried_again_though_others_are_there(driver: Driver) -> None:
    driver.meet(2)
    resolve(driver, 2, 3)
    driver.pass_time_answering(4 * LAN.reconnect_interval, 2)
    assert driver.core.counters["push_pulls"] >= 2


def test_an_address_joined_by_hand_is_tried_at_once_and_once_at_a_time(driver: Driver) -> None:
    for _ in range(2):
        driver.core.join([address(5)], driver.now)
    driver.effects = driver.core.effects()
    assert opened(driver) == [address(5)]


def test_a_member_is_not_joined_again(driver: Driver) -> None:
    driver.meet(5)
    driver.core.effects()
    driver.core.join([address(5)], driver.now)
    driver.effects = driver.core.effects()
    assert opened(driver) == []


def test_an_address_that_leads_back_to_this_node_is_counted(driver: Driver) -> None:
    driver.core.stream_accepted(1, address(9), driver.now)
    driver.core.frame_received(1, packet(1, alive(1), PushPull(False)), driver.now)
    assert driver.core.counters["dropped_own"] == 1


def test_another_cluster_is_refused_and_counted(driver: Driver) -> None:
    data = packet(2, alive(2), PushPull(False), cluster="other")
    driver.core.stream_accepted(1, address(2), driver.now)
    driver.core.frame_received(1, data, driver.now)
    assert driver.status(2) is None
    assert driver.core.counters["dropped_cluster"] == 1


def test_streams_are_bounded_in_time_and_number(driver: Driver) -> None:
    driver.core.join([address(number) for number in range(2, 80)], driver.now)
    assert driver.core.counters["streams_opened"] == 64
    assert driver.core.counters["streams_refused"] > 0
    driver.core.effects()
    driver.pass_time(LAN.stream_timeout + 1)
    assert driver.core.counters["streams_failed"] >= 64
