"""Watch streams, driven by hand: to whom they are kept, and what their ends mean."""

import pytest

from gossip import limits
from gossip.effects import CloseStream, Knock, OpenStream, SendFrame
from gossip.member import Status
from gossip.messages.membership import Parting, Unwatch, Watch
from tests.gossip.drive import Driver, address, alive, metadata, node_id, packet, read, verdict

CALM = 2.6
"""Longer than it takes to notice that the ring has moved and to find it calm."""


def watching(driver: Driver) -> dict[int, int]:
    """Watch streams opened by the last input: number of the member -> stream."""
    return {
        int(stream.address[0].rpartition(".")[2]): stream.stream
        for stream in driver.done(OpenStream)
        if any(isinstance(message, Watch) for message in read(stream.frame))
    }


def parted(driver: Driver) -> dict[int, Parting]:
    """Streams on which the last input said that it closes them."""
    return {
        effect.stream: message.reason
        for effect in driver.done(SendFrame)
        for message in read(effect.frame)
        if isinstance(message, Unwatch)
    }


def driver_of(number: int, others: list[int]) -> tuple[Driver, dict[int, int]]:
    """A node that has met these and watches some of them."""
    driver = Driver(number=number)
    driver.meet(*others)
    opened: dict[int, int] = {}
    for _ in range(4):
        driver.pass_time_answering(CALM / 2, *others)
        opened |= watching(driver)
    for other, stream in opened.items():
        driver.core.frame_received(stream, packet(other, Watch(), receiver=number), driver.now)
    return driver, opened


def end(driver: Driver, stream: int, *, refused: bool = True) -> None:
    driver.core.stream_closed(stream, driver.now, refused)
    driver.effects = driver.core.effects()


def accept(driver: Driver, sender: int, stream: int) -> None:
    driver.core.stream_accepted(stream, address(sender), driver.now)
    driver.core.frame_received(stream, packet(sender, Watch()), driver.now)
    driver.effects = driver.core.effects()


@pytest.mark.parametrize(
    ("number", "others", "successors"),
    [
        (1, [], []),
        (1, [2], [2]),
        (2, [1], [1]),
        (1, [2, 3], [2, 3]),
        (3, [1, 2], [1, 2]),
        (3, [1, 2, 4, 5, 6], [4, 5]),
        (5, [1, 2, 3, 4, 6], [6, 1]),
    ],
)
def test_the_next_two_in_the_ring_are_watched(
    number: int, others: list[int], successors: list[int]
) -> None:
    _, opened = driver_of(number, others)
    assert list(opened) == successors


def test_the_own_zone_is_watched_first() -> None:
    driver = Driver()
    for number, zone in ((2, "b"), (3, ""), (4, ""), (5, "")):
        data = metadata(f"node-{number}")._replace(zone=zone)
        driver.receive(number, alive(number)._replace(metadata=data))
    opened: dict[int, int] = {}
    for _ in range(4):
        driver.pass_time_answering(CALM / 2, 2, 3, 4, 5)
        opened |= watching(driver)
    assert list(opened) == [3, 4]


def test_while_joins_come_in_no_stream_is_opened() -> None:
    driver = Driver()
    for number in range(30, 2, -1):
        driver.meet(number)
        driver.pass_time_answering(0.5, *range(number, 31))
        assert watching(driver) == {}
    driver.pass_time_answering(CALM, *range(3, 31))
    assert sorted(watching(driver)) == [3, 4]


def test_a_stream_that_is_kept_stands_without_a_deadline() -> None:
    driver, opened = driver_of(1, [2, 3])
    driver.pass_time_answering(600.0, 2, 3)
    assert all(driver.core.stands(stream) for stream in opened.values())
    assert watching(driver) == {}


def test_a_stream_that_nobody_answers_is_given_up_and_tried_again() -> None:
    driver = Driver()
    driver.meet(2)
    driver.pass_time_answering(CALM, 2)
    (stream,) = watching(driver).values()
    assert not driver.core.stands(stream)
    driver.pass_time_answering(20.0, 2)
    assert CloseStream(stream) in driver.effects
    assert watching(driver)


def test_an_end_without_notice_is_a_hint() -> None:
    driver, opened = driver_of(1, [2, 3])
    end(driver, opened[2])
    assert [knock.address for knock in driver.done(Knock)] == [address(2)]


def test_an_end_without_notice_is_a_hint_to_the_acceptor_too() -> None:
    driver, _ = driver_of(1, [2, 3])
    accept(driver, 3, 1)
    assert driver.core.stands(1)
    assert driver.framed(Watch) == [Watch()]
    end(driver, 1)
    assert [knock.address for knock in driver.done(Knock)] == [address(3)]


def test_an_end_with_notice_is_none() -> None:
    driver, opened = driver_of(1, [2, 3])
    accept(driver, 3, 1)
    for sender, stream in ((2, opened[2]), (3, 1)):
        frame = packet(sender, Unwatch(Parting.MOVED))
        driver.core.frame_received(stream, frame, driver.now)
        driver.effects = driver.core.effects()
        assert CloseStream(stream) in driver.effects
        end(driver, stream)
        assert driver.done(Knock) == []


@pytest.mark.parametrize("status", [Status.LEAVING, Status.LEFT])
def test_the_end_of_a_leaving_members_stream_is_none(status: Status) -> None:
    driver, opened = driver_of(1, [2, 3])
    driver.receive(2, verdict(2, status, by=2))
    end(driver, opened[2])
    assert driver.done(Knock) == []


def test_the_end_of_a_stream_with_an_earlier_life_is_none() -> None:
    driver, opened = driver_of(1, [2, 3])
    driver.receive(2, alive(2, generation=2))
    end(driver, opened[2])
    assert driver.done(Knock) == []


def test_a_stream_with_an_earlier_life_is_replaced() -> None:
    driver, opened = driver_of(1, [2, 3])
    driver.receive(2, alive(2, generation=2))
    driver.pass_time_answering(CALM, 2, 3)
    assert CloseStream(opened[2]) in driver.effects
    assert list(watching(driver)) == [2]


def test_when_the_ring_moves_streams_move_and_say_so() -> None:
    driver, opened = driver_of(1, [2, 4])
    driver.meet(3)
    driver.pass_time_answering(CALM, 2, 3, 4)
    assert list(watching(driver)) == [3]
    assert parted(driver) == {opened[4]: Parting.MOVED}
    assert CloseStream(opened[4]) in driver.effects


def test_who_leaves_says_so_on_every_stream() -> None:
    driver, opened = driver_of(1, [2, 3])
    accept(driver, 3, 1)
    driver.core.leave(driver.now)
    driver.effects = driver.core.effects()
    assert parted(driver) == dict.fromkeys([*opened.values(), 1], Parting.LEAVING)


def test_a_stream_that_ended_is_opened_again_ever_later() -> None:
    """Middle boxes cut idle connections."""
    driver, opened = driver_of(1, [2])
    stream, waits = opened[2], []
    for _ in range(5):
        end(driver, stream)
        waited = 0.0
        while not (again := watching(driver)):
            driver.pass_time_answering(0.1, 2)
            waited += 0.1
        stream = again[2]
        driver.core.frame_received(stream, packet(2, Watch()), driver.now)
        waits.append(waited)
    assert 0.7 < waits[0] < 1.7
    assert waits[-1] > 10.0


@pytest.mark.parametrize(("stood", "forgiven"), [(599.0, False), (600.0, True)])
def test_the_end_of_a_stream_that_stood_for_ten_minutes_is_forgiven(
    stood: float, forgiven: bool
) -> None:
    driver, opened = driver_of(1, [2])
    stream = opened[2]
    for _ in range(4):
        end(driver, stream)
        while not (again := watching(driver)):
            driver.pass_time_answering(0.5, 2)
        stream = again[2]
    driver.core.frame_received(stream, packet(2, Watch()), driver.now)
    stands_since = driver.now
    driver.pass_time_answering(stood - 1.0, 2)
    driver.now = stands_since + stood
    end(driver, stream)
    waited = 0.0
    while not watching(driver):
        driver.pass_time_answering(0.5, 2)
        waited += 0.5
    assert waited < 2.5 if forgiven else waited > 10.0


def test_a_suspects_watch_is_accepted_as_any() -> None:
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(3, verdict(2, Status.SUSPECT))
    accept(driver, 2, 1)
    assert driver.core.stands(1)
    assert driver.status(2) == "suspect"


def test_watches_of_others_are_bounded_and_the_refused_are_told_why() -> None:
    driver = Driver()
    numbers = range(2, limits.WATCHES_ACCEPTED_MAX + 3)
    driver.meet(*numbers)
    for number in numbers:
        accept(driver, number, 2 * number + 1)
    last = 2 * numbers[-1] + 1
    assert parted(driver) == {last: Parting.FULL}
    assert CloseStream(last) in driver.effects
    assert driver.core.counters["watches_refused"] == 1


def test_a_second_watch_of_one_member_replaces_the_first() -> None:
    driver = Driver()
    driver.meet(2)
    accept(driver, 2, 1)
    accept(driver, 2, 3)
    assert CloseStream(1) in driver.effects
    assert driver.core.stands(3)


def test_standing_watches_take_no_place_from_other_streams() -> None:
    driver = Driver()
    driver.meet(2, 3)
    accept(driver, 2, 1)
    for number in range(limits.STREAMS_ACCEPTED_MAX):
        driver.core.stream_accepted(2 * number + 3, address(3), driver.now)
    assert driver.core.counters["streams_refused"] == 0
    driver.core.stream_accepted(999, address(3), driver.now)
    assert driver.core.counters["streams_refused"] == 1


def test_a_full_successor_is_left_alone_for_minutes() -> None:
    driver, opened = driver_of(1, [2])
    driver.core.frame_received(opened[2], packet(2, Unwatch(Parting.FULL)), driver.now)
    driver.pass_time_answering(200.0, 2)
    assert watching(driver) == {}
    driver.pass_time_answering(300.0, 2)
    assert list(watching(driver)) == [2]


def test_watch_messages_in_packets_and_of_strangers_do_nothing() -> None:
    driver = Driver()
    driver.meet(2)
    driver.receive(2, Watch(), Unwatch(Parting.MOVED))
    assert driver.core.counters["messages_malformed"] == 2
    driver.core.stream_accepted(1, address(9), driver.now)
    driver.core.frame_received(1, packet(9, Watch()), driver.now)
    assert not driver.core.stands(1)
    assert driver.core.counters["dropped_stranger"] == 1


def test_an_end_of_a_failed_members_stream_is_no_case_and_is_tidied() -> None:
    driver, opened = driver_of(1, [2, 3])
    driver.receive(3, verdict(2, Status.FAILED))
    driver.pass_time_answering(CALM, 3)
    assert CloseStream(opened[2]) in driver.effects
    assert driver.member(2) is not None
    assert node_id(2) not in [s.peer for s in driver.core._streams.watches()]
