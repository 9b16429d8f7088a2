"""Joining, exchanging tables and reconnecting, driven by hand at one node."""

from dataclasses import replace

import pytest

from gossip.effects import OpenStream, ResolveSeeds, SendFrame
from gossip.events import Isolated
from gossip.member import Status
from gossip.messages.membership import Alive, PushPull, TableDigest, Verdict
from gossip.profiles import LAN
from tests.gossip.drive import Driver, address, alive, packet, read, verdict


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


def periodic(driver: Driver, *numbers: int) -> OpenStream:
    """The push-pull that begins by itself, while these members answer probes."""
    for _ in range(200):
        driver.pass_time_answering(0.25, *numbers)
        for stream in driver.done(OpenStream):
            if any(isinstance(message, TableDigest) for message in read(stream.frame)):
                return stream
    raise AssertionError("no push-pull began")


def exchange(driver: Driver, other: Driver, stream: OpenStream) -> int:
    """Carry the frames of a stream between the two until it is closed; answers their bytes."""
    other.core.stream_accepted(1, address(1), other.now)
    size, to_other, to_driver = 0, [stream.frame], list[bytes]()
    while to_other or to_driver:
        for frame in to_other:
            size += len(frame)
            other.core.frame_received(1, frame, other.now)
        to_driver = [e.frame for e in other.core.effects() if isinstance(e, SendFrame)]
        for frame in to_driver:
            size += len(frame)
            driver.core.frame_received(stream.stream, frame, driver.now)
        driver.effects = driver.core.effects()
        to_other = [e.frame for e in driver.effects if isinstance(e, SendFrame)]
        to_driver = []
    return size


def test_members_with_like_tables_exchange_digests_only(driver: Driver) -> None:
    driver.meet(*range(2, 30))
    stream = periodic(driver, *range(2, 30))
    other = Driver(LAN, number=int(stream.address[0].rpartition(".")[2]))
    other.meet(*(number for number in range(1, 30) if number != other.number))
    size = exchange(driver, other, stream)
    assert size < 600
    assert other.core.counters["push_pulls_alike"] == 1


def test_of_members_that_failed_tables_compare_no_more_than_they_tell(driver: Driver) -> None:
    other = Driver(LAN, number=2)
    driver.meet(2)
    other.meet(1)
    driver.receive(3, alive(3, at=33))
    other.receive(3, alive(3))
    for one, sender in ((driver, 2), (other, 1)):
        one.receive(sender, verdict(3, Status.FAILED))
        assert one.status(3) == "failed"
    exchange(driver, other, periodic(driver, 2))
    assert other.core.counters["push_pulls_alike"] == 1


def test_members_with_unlike_tables_end_with_like_ones(driver: Driver) -> None:
    other = Driver(LAN, number=2)
    driver.meet(2, 3)
    other.meet(1, 4)
    while (stream := periodic(driver, 2, 3)).address != address(2):
        driver.core.stream_closed(stream.stream, driver.now)
    exchange(driver, other, stream)
    assert other.status(3) == driver.status(4) == "alive"
    assert other.core.counters["push_pulls_alike"] == 0


def test_a_stranger_can_not_compare_tables(driver: Driver) -> None:
    driver.receive_table(9, TableDigest(bytes(16), False))
    assert driver.core.counters["dropped_stranger"] == 1
    assert driver.framed(TableDigest) == []


def attempts(driver: Driver, seconds: float) -> int:
    """Push-pulls begun in this time, while node 2 answers probes."""
    before = driver.core.counters["push_pulls"]
    end = driver.now + seconds
    while driver.now < end:
        opened = driver.core.counters["streams_opened"]
        driver.pass_time_answering(5.0, 2)
        for stream in range(2 * opened, 2 * driver.core.counters["streams_opened"], 2):
            driver.core.stream_closed(stream, driver.now)
    return driver.core.counters["push_pulls"] - before


def test_the_failed_are_called_ever_more_seldom_and_never_forgotten() -> None:
    """memberlist forgets them after 30 s, and partitions never heal (hashicorp/memberlist#222)."""
    driver = Driver(replace(LAN, push_pull_interval=1e9, failed_ttl=7_200.0))
    driver.meet(2, 3)
    driver.receive(2, verdict(3, Status.FAILED))
    early = attempts(driver, 300.0)
    assert early >= 40
    attempts(driver, 3_300.0)
    assert 0 < attempts(driver, 300.0) < early / 3
    attempts(driver, 7_200.0)
    assert driver.status(3) is None
    assert attempts(driver, 3_600.0) > 0


def test_a_failed_member_is_not_called_at_an_address_that_another_has() -> None:
    """One record of an address, the newest: the others cost packets (caio/foca#15)."""
    driver = Driver(replace(LAN, push_pull_interval=1e9))
    driver.meet(2)
    driver.receive(3, alive(3, at=4))
    driver.receive(2, verdict(3, Status.FAILED))
    driver.meet(4)
    driver.pass_time_answering(10 * LAN.reconnect_interval, 2, 4)
    assert driver.core.counters["push_pulls"] == 0


def test_a_node_that_misses_everybody_says_so_and_again(driver: Driver) -> None:
    """A frozen view without a log line cost eleven hours (grafana/mimir#16254)."""
    resolve(driver, 2)
    told = []
    for _ in range(200):
        for stream in driver.done(OpenStream):
            driver.core.stream_closed(stream.stream, driver.now)
        driver.pass_time(5.0)
        told += driver.events(Isolated)
    assert len(told) == 2
    assert 30.0 <= told[0].seconds <= 45.0


def test_a_node_that_is_meant_to_be_alone_says_nothing() -> None:
    driver = Driver(LAN)
    driver.pass_time(3_600.0)
    assert driver.events(Isolated) == []


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


def test_of_many_addresses_a_few_are_tried_at_once(driver: Driver) -> None:
    """A restart of a whole cluster would else be n squared whole tables (quickwit#5446)."""
    driver.core.join([address(number) for number in range(2, 80)], driver.now)
    driver.effects = driver.core.effects()
    assert len(set(opened(driver))) == 5
    tried = set(opened(driver))
    for _ in range(100):
        for stream in driver.done(OpenStream):
            driver.core.stream_closed(stream.stream, driver.now)
        driver.pass_time(LAN.reconnect_interval)
        tried |= set(opened(driver))
    assert len(tried) == 78


def test_streams_are_bounded_in_time_and_number(driver: Driver) -> None:
    for number in range(2, 80):
        driver.core.join([address(number)], driver.now)
    assert driver.core.counters["streams_opened"] == 64
    assert driver.core.counters["streams_refused"] > 0
    driver.core.effects()
    driver.pass_time(LAN.stream_timeout + 1)
    assert driver.core.counters["streams_failed"] >= 64
