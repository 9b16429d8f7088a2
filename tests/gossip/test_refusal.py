"""Refusals, driven by hand at one node: what counts as evidence, and for what it is enough."""

from dataclasses import replace

import pytest

from gossip import limits
from gossip.effects import Knock, OpenStream
from gossip.member import Status
from gossip.messages.membership import (
    Ack,
    Alive,
    Check,
    Checked,
    Outcome,
    Ping,
    PingRequest,
    Verdict,
)
from gossip.outbox import Question
from gossip.profiles import LAN
from gossip.refusal import TcpOutcome, UdpOutcome, outcome_of
from gossip.wire import encode_parts
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, read, verdict, wire

TARGET = 2


@pytest.fixture
def driver() -> Driver:
    """Node 1 of five, the second of which will be looked into."""
    driver = Driver()
    driver.meet(2, 3, 4, 5)
    return driver


def hint(driver: Driver, number: int = TARGET) -> list[Knock]:
    """A stream of node 1's to this member is reset; answers the knocks that follow."""
    question = Question(wire(number), encode_parts([Ping(1)]))
    stream = driver.core._streams.open(
        "probe", address(number), node_id(number), question, driver.now
    )
    assert stream is not None
    driver.core.effects()
    driver.core.stream_closed(stream.id, driver.now, refused=True)
    driver.effects = driver.core.effects()
    return driver.done(Knock)


def report(
    driver: Driver, knock: Knock, udp: UdpOutcome = "silent", tcp: TcpOutcome = "silent"
) -> None:
    """The transport tells what came of a knock."""
    driver.core.knocked(knock.knock, udp, tcp, driver.now)
    driver.effects = driver.core.effects()


def refuse(driver: Driver) -> dict[int, Check]:
    """A hint, and a knock that is refused; answers whom node 1 asks what."""
    (knock,) = hint(driver)
    report(driver, knock, udp="refused", tcp="refused")
    return {int(host.rpartition(".")[2]): check for (host, _), check in driver.sent(Check)}


def answer(driver: Driver, helper: int, outcome: Outcome, generation: int = 1) -> None:
    driver.receive(helper, Checked(node_id(TARGET), generation, outcome))


@pytest.mark.parametrize(
    ("udp", "tcp", "outcome"),
    [
        ("refused", "refused", Outcome.REFUSED),
        ("silent", "refused", Outcome.REFUSED),
        ("refused", "silent", Outcome.REFUSED),
        ("silent", "silent", Outcome.SILENT),
        ("answered", "refused", Outcome.REACHED),
        ("refused", "open", Outcome.REACHED),
        ("silent", "open", Outcome.REACHED),
        ("answered", "open", Outcome.REACHED),
    ],
)
def test_a_refusal_counts_unless_anything_got_through(
    udp: UdpOutcome, tcp: TcpOutcome, outcome: Outcome
) -> None:
    assert outcome_of(udp, tcp) is outcome


def test_a_refused_stream_has_the_member_knocked_at_with_a_ping(driver: Driver) -> None:
    (knock,) = hint(driver)
    assert knock.address == address(TARGET)
    assert any(isinstance(message, Ping) for message in read(knock.packet))
    assert len(knock.packet) <= limits.PACKET_BYTES_MAX


def test_a_stream_that_ends_without_refusal_is_no_hint(driver: Driver) -> None:
    stream = driver.core._streams.open(
        "probe", address(2), node_id(2), Question(wire(2), b""), driver.now
    )
    assert stream is not None
    driver.core.stream_closed(stream.id, driver.now)
    driver.effects = driver.core.effects()
    assert driver.done(Knock) == []


def test_an_overdue_ack_has_the_member_knocked_at() -> None:
    driver = Driver()
    driver.meet(2)
    while not driver.sent(Ping):
        driver.pass_time(0.01)
    driver.pass_time(PROFILE.knock_after - 0.03)
    assert driver.done(Knock) == []
    driver.pass_time(0.05)
    assert [knock.address for knock in driver.done(Knock)] == [address(2)]


def test_on_a_slow_path_an_ack_is_overdue_after_four_round_trips() -> None:
    driver = Driver()
    driver.meet(2)
    member = driver.core._members.get(node_id(2))
    assert member is not None
    member.rtt = 0.1
    while not driver.sent(Ping):
        driver.pass_time(0.01)
    driver.pass_time(0.37)
    assert driver.done(Knock) == []
    driver.pass_time(0.04)
    assert len(driver.done(Knock)) == 1


def test_an_answer_to_the_knocks_ping_saves_the_probe_under_way() -> None:
    driver = Driver()
    driver.meet(2, 3)
    while not driver.sent(Ping):
        driver.pass_time(0.01)
    driver.pass_time(PROFILE.knock_after + 0.01)
    (knock,) = driver.done(Knock)
    number = 2 if knock.address == address(2) else 3
    (ping,) = [message for message in read(knock.packet) if isinstance(message, Ping)]
    driver.receive(number, Ack(ping.sequence))
    driver.pass_time(PROFILE.probe_timeout)
    assert driver.sent(PingRequest) == []
    assert driver.core.counters["acks_unexpected"] == 0


def test_a_refusal_alone_convicts_nobody_and_others_are_asked(driver: Driver) -> None:
    """ICMP is easily spoofed, and a firewall may reject one of many."""
    asked = refuse(driver)
    assert sorted(asked) == [3, 4, 5]
    assert set(asked.values()) == {Check(node_id(TARGET), 1)}
    driver.pass_time_answering(1.5, 2, 3, 4, 5)
    assert driver.status(TARGET) == "alive"


def test_two_observers_that_are_refused_convict_at_once(driver: Driver) -> None:
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    answer(driver, 4, Outcome.SILENT)
    assert driver.status(TARGET) == "alive", "one answer is still under way"
    answer(driver, 5, Outcome.REFUSED)
    assert driver.status(TARGET) == "failed"
    told = {where for where, claim in driver.sent(Verdict) if claim.status is Status.FAILED}
    assert told >= {address(3), address(4), address(5)}


def test_answers_still_under_way_are_not_waited_for_long(driver: Driver) -> None:
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    driver.pass_time(0.03)
    assert driver.status(TARGET) == "failed"


def test_whoever_reaches_it_vetoes(driver: Driver) -> None:
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    answer(driver, 4, Outcome.REACHED)
    answer(driver, 5, Outcome.REFUSED)
    driver.pass_time(0.1)
    assert driver.status(TARGET) == "alive"


@pytest.mark.parametrize(("udp", "tcp"), [("silent", "silent"), ("answered", "refused")])
def test_a_knock_that_is_not_refused_ends_the_case(
    driver: Driver, udp: UdpOutcome, tcp: TcpOutcome
) -> None:
    (knock,) = hint(driver)
    report(driver, knock, udp, tcp)
    assert driver.sent(Check) == []
    answer(driver, 3, Outcome.REFUSED)
    answer(driver, 4, Outcome.REFUSED)
    assert driver.status(TARGET) == "alive"
    assert driver.core.counters["checks_unexpected"] == 2


def test_an_answer_counts_once_and_only_from_whom_was_asked() -> None:
    driver = Driver()
    driver.meet(*range(2, 10))
    asked = refuse(driver)
    bystander = next(n for n in range(3, 10) if n not in asked)
    answer(driver, bystander, Outcome.REFUSED)
    assert driver.core.counters["checks_unexpected"] == 1
    helper = min(asked)
    answer(driver, helper, Outcome.SILENT)
    answer(driver, helper, Outcome.REFUSED)
    driver.pass_time(0.1)
    assert driver.status(TARGET) == "alive"


def test_where_those_asked_are_silent_others_are_asked() -> None:
    """After a rack has gone, most of those asked may be gone themselves."""
    driver = Driver()
    driver.meet(*range(2, 10))
    asked = refuse(driver)
    for helper in asked:
        answer(driver, helper, Outcome.SILENT)
    driver.pass_time(0.01)
    again = {int(host.rpartition(".")[2]) for (host, _), _ in driver.sent(Check)}
    assert len(again) == 3
    assert not again & set(asked)
    answer(driver, min(again), Outcome.REFUSED)
    driver.pass_time(0.05)
    assert driver.status(TARGET) == "failed"


@pytest.mark.parametrize("others", [[2], [2, 3]], ids=["N=2", "N=3"])
def test_with_nobody_to_ask_two_refusals_of_ones_own_are_enough(others: list[int]) -> None:
    driver = Driver()
    driver.meet(*others)
    refuse(driver)
    assert driver.status(TARGET) == "alive"
    driver.pass_time(0.11)
    (knock,) = driver.done(Knock)
    report(driver, knock, tcp="refused")
    assert driver.status(TARGET) == "failed"


def test_of_three_the_one_that_can_be_asked_may_veto() -> None:
    driver = Driver()
    driver.meet(2, 3)
    assert list(refuse(driver)) == [3]
    answer(driver, 3, Outcome.REACHED)
    driver.pass_time(0.15)
    assert driver.done(Knock) == []
    assert driver.status(TARGET) == "alive"


def test_of_three_the_one_that_can_be_asked_saves_the_second_knock() -> None:
    driver = Driver()
    driver.meet(2, 3)
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    assert driver.status(TARGET) == "failed"


def test_a_second_knock_that_gets_through_saves_it() -> None:
    driver = Driver()
    driver.meet(2)
    refuse(driver)
    driver.pass_time(0.11)
    (knock,) = driver.done(Knock)
    report(driver, knock, tcp="open")
    driver.pass_time(0.2)
    assert driver.status(TARGET) == "alive"


@pytest.mark.parametrize(
    "claim", [alive(TARGET, generation=2), alive(TARGET, incarnation=2)], ids=["life", "word"]
)
def test_a_member_that_has_spoken_meanwhile_is_not_convicted(driver: Driver, claim: Alive) -> None:
    refuse(driver)
    driver.receive(3, claim)
    answer(driver, 4, Outcome.REFUSED)
    answer(driver, 5, Outcome.REFUSED)
    driver.pass_time(0.05)
    assert driver.status(TARGET) == "alive"


@pytest.mark.parametrize("status", [Status.LEAVING, Status.LEFT, Status.FAILED])
def test_members_that_go_or_went_are_no_cases(driver: Driver, status: Status) -> None:
    driver.receive(2, verdict(TARGET, status, by=2))
    assert hint(driver) == []


def test_who_refutes_a_refusal_verdict_gets_none_for_a_minute(driver: Driver) -> None:
    """A firewall that rejects some of us would have it flap."""
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    driver.pass_time(0.05)
    assert driver.status(TARGET) == "failed"
    driver.receive(TARGET, alive(TARGET, incarnation=2))
    assert hint(driver) == []
    assert driver.core.counters["refusals_immune"] == 1
    driver.pass_time_answering(60.0, 2, 3, 4, 5)
    assert len(hint(driver)) == 1


def test_who_restarts_is_looked_into_again(driver: Driver) -> None:
    refuse(driver)
    answer(driver, 3, Outcome.REFUSED)
    driver.pass_time(0.05)
    driver.receive(TARGET, alive(TARGET, generation=2))
    assert len(hint(driver)) == 1


def test_one_case_and_one_knock_at_a_time(driver: Driver) -> None:
    assert len(hint(driver)) == 1
    assert hint(driver) == []
    driver.receive(3, Check(node_id(TARGET), 1))
    assert driver.done(Knock) == [], "the one under way serves both"


def test_a_case_without_verdict_is_followed_by_a_rest(driver: Driver) -> None:
    (knock,) = hint(driver)
    report(driver, knock, tcp="open")
    assert hint(driver) == []
    driver.pass_time(0.3)
    assert len(hint(driver)) == 1


def test_a_helper_knocks_for_itself_and_tells(driver: Driver) -> None:
    driver.receive(3, Check(node_id(TARGET), 1))
    (knock,) = driver.done(Knock)
    driver.receive(4, Check(node_id(TARGET), 1))
    report(driver, knock, udp="refused")
    expected = Checked(node_id(TARGET), 1, Outcome.REFUSED)
    assert driver.sent(Checked) == [(address(3), expected), (address(4), expected)]
    driver.receive(5, Check(node_id(TARGET), 1))
    assert driver.sent(Checked) == [(address(5), expected)], "what was seen just now"
    driver.pass_time(0.1)
    driver.receive(5, Check(node_id(TARGET), 1))
    assert len(driver.done(Knock)) == 1
    assert driver.status(TARGET) == "alive", "a helper doesn't convict"


def test_a_helper_knocks_at_members_only(driver: Driver) -> None:
    for target in (node_id(99), node_id(1), node_id(3)):
        driver.receive(3, Check(target, 1))
        assert driver.done(Knock) == []
    assert driver.core.counters["checks_refused"] == 3


def test_whoever_asks_about_an_earlier_life_is_told_of_the_later_one(driver: Driver) -> None:
    driver.receive(TARGET, alive(TARGET, generation=2))
    driver.receive(3, Check(node_id(TARGET), 1))
    assert driver.done(Knock) == []
    assert (address(3), alive(TARGET, generation=2)) in driver.sent(Alive)


def test_a_strangers_question_is_dropped(driver: Driver) -> None:
    driver.receive(9, Check(node_id(TARGET), 1))
    assert driver.done(Knock) == []
    assert driver.core.counters["dropped_stranger"] == 1


def test_knocks_and_cases_are_bounded() -> None:
    driver = Driver()
    count = limits.CASES_MAX + 10
    driver.meet(*range(2, count + 2))
    for number in range(2, count + 2):
        hint(driver, number)
    counters = driver.core.counters
    assert counters["knocks"] == limits.KNOCKS_MAX
    assert counters["refusal_cases_dropped"] + counters["knocks_dropped"] == 10


def test_a_knock_that_is_never_reported_counts_as_silent(driver: Driver) -> None:
    hint(driver)
    driver.pass_time_answering(1.5, 2, 3, 4, 5)
    assert driver.core.counters["knocks_silent"] == 1
    assert driver.status(TARGET) == "alive"
    driver.core.knocked(12345, "refused", "refused", driver.now)
    assert driver.core.counters["knocks_refused"] == 0


def test_a_probe_of_a_member_that_was_convicted_meanwhile_costs_no_health() -> None:
    driver = Driver(replace(LAN, reconnect_interval=1e6))
    driver.meet(2)
    while not driver.sent(Ping):
        driver.pass_time(0.01)
    refuse(driver)
    driver.pass_time(0.11)
    (knock,) = driver.done(Knock)
    report(driver, knock, tcp="refused")
    driver.pass_time(1.0)
    assert driver.status(2) == "failed"
    assert driver.core.health_score() == 0


def test_a_probe_over_tcp_that_is_refused_is_a_hint(driver: Driver) -> None:
    streams: list[OpenStream] = []
    while not streams:
        driver.pass_time(0.01)
        streams = driver.done(OpenStream)
        for knock in driver.done(Knock):
            report(driver, knock)
    driver.core.stream_closed(streams[0].stream, driver.now, refused=True)
    driver.effects = driver.core.effects()
    assert [knock.address for knock in driver.done(Knock)] == [streams[0].address]
