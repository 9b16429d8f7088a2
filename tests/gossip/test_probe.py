"""Probing, driven by hand: who is asked, when, and what follows."""

from dataclasses import replace

import pytest

from gossip.effects import OpenStream, SendDatagram
from gossip.member import Status
from gossip.messages.membership import Ack, Nack, Ping, PingRequest, Verdict
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, packet, verdict

TIMEOUT, INTERVAL = PROFILE.probe_timeout, PROFILE.probe_interval


@pytest.fixture
def driver() -> Driver:
    return Driver()


def begin_probe(driver: Driver) -> tuple[int, int]:
    """Let time pass until a ping goes out: (number of the node pinged, sequence)."""
    for _ in range(100):
        driver.pass_time(INTERVAL / 50)
        pings = driver.sent(Ping)
        if pings:
            (host, _), ping = pings[0]
            return int(host.rpartition(".")[2]), ping.sequence
    raise AssertionError("no probe within two intervals")


def let_it_fail(driver: Driver, bystander: int) -> None:
    """Let the probe under way fail, while another member is heard."""
    driver.receive(bystander, Ping(1))
    driver.pass_time(PROFILE.probe_window)


def test_a_ping_is_answered_by_an_ack_with_its_sequence(driver: Driver) -> None:
    driver.meet(2)
    driver.receive(2, Ping(77))
    assert driver.sent(Ack) == [(address(2), Ack(77))]


def test_a_ping_for_another_node_id_is_dropped_and_counted(driver: Driver) -> None:
    driver.meet(2)
    driver.receive(2, Ping(77), receiver=5)
    assert driver.sent(Ack) == []
    assert driver.core.counters["dropped_receiver"] == 1


def test_a_strangers_ping_is_answered_with_no_more_bytes_than_it_sent(driver: Driver) -> None:
    question = packet(2, Ping(1))
    driver.core.datagram_received(question, address(2), driver.now)
    driver.effects = driver.core.effects()
    assert driver.sent(Ack) == [(address(2), Ack(1))]
    assert sum(len(sent.data) for sent in driver.done(SendDatagram)) <= len(question)


def test_every_member_is_probed_within_two_rounds(driver: Driver) -> None:
    numbers = list(range(2, 8))
    driver.meet(*numbers)
    probed = []
    for _ in range(2 * len(numbers) - 1):
        number, sequence = begin_probe(driver)
        driver.receive(number, Ack(sequence))
        probed.append(number)
    assert sorted(set(probed)) == numbers


def test_an_ack_in_time_ends_the_probe_and_measures_the_round_trip(driver: Driver) -> None:
    driver.meet(2)
    _, sequence = begin_probe(driver)
    driver.receive(2, Ack(sequence))
    driver.pass_time(TIMEOUT)
    assert driver.sent(PingRequest) == []
    member = driver.member(2)
    assert member is not None
    assert member.rtt is not None
    assert 0 <= member.rtt < INTERVAL


def test_without_an_ack_helpers_are_asked_and_tcp_is_tried(driver: Driver) -> None:
    driver.meet(2, 3, 4, 5, 6)
    number, sequence = begin_probe(driver)
    driver.pass_time(TIMEOUT + 0.01)
    requests = driver.sent(PingRequest)
    assert len(requests) == PROFILE.indirect_checks
    assert all(r == PingRequest(sequence, node_id(number)) for _, r in requests)
    assert address(number) not in [where for where, _ in requests]
    assert [stream.address for stream in driver.done(OpenStream)] == [address(number)]


@pytest.mark.parametrize("saved", [True, False])
def test_a_helpers_ack_saves_the_member(driver: Driver, saved: bool) -> None:
    driver.meet(2, 3)
    number, sequence = begin_probe(driver)
    helper = 5 - number
    driver.pass_time(TIMEOUT + 0.01)
    driver.receive(helper, Ack(sequence) if saved else Nack(sequence))
    driver.pass_time(PROFILE.probe_window - TIMEOUT)
    assert driver.status(number) == ("alive" if saved else "suspect")


def test_an_ack_over_tcp_saves_the_member(driver: Driver) -> None:
    driver.meet(2)
    _, sequence = begin_probe(driver)
    driver.pass_time(TIMEOUT + 0.01)
    (stream,) = driver.done(OpenStream)
    driver.core.frame_received(stream.stream, packet(2, Ack(sequence)), driver.now)
    driver.pass_time(INTERVAL)
    assert driver.status(2) == "alive"
    assert driver.core.counters["probes_saved_by_stream"] == 1


@pytest.mark.parametrize(("generation", "path"), [(1, "tcp"), (2, None)])
def test_an_answer_over_tcp_says_nothing_of_the_path_to_a_later_life(
    driver: Driver, generation: int, path: str | None
) -> None:
    driver.meet(2, 3)
    number, sequence = begin_probe(driver)
    driver.pass_time(TIMEOUT + 0.01)
    (stream,) = driver.done(OpenStream)
    driver.core.frame_received(stream.stream, packet(number, Ack(sequence)), driver.now)
    driver.receive(5 - number, alive(number, generation=generation))
    driver.pass_time(PROFILE.probe_window - TIMEOUT)
    member = driver.member(number)
    assert member is not None
    assert (member.generation, member.path) == (generation, path)
    assert driver.core.counters["probes_saved_by_stream"] == 1


def test_a_member_that_is_gone_by_the_end_of_its_answer_over_tcp_is_no_matter(
    driver: Driver,
) -> None:
    driver.meet(2)
    _, sequence = begin_probe(driver)
    driver.pass_time(TIMEOUT + 0.01)
    (stream,) = driver.done(OpenStream)
    driver.core.frame_received(stream.stream, packet(2, Ack(sequence)), driver.now)
    member = driver.core._members.get(node_id(2))
    assert member is not None
    driver.core._members.expel(member, driver.now)
    driver.pass_time(INTERVAL)
    assert driver.member(2) is None
    assert driver.core.counters["probes_saved_by_stream"] == 1


def test_a_failed_probe_accuses_and_tells_all_at_once(driver: Driver) -> None:
    driver.meet(2, 3, 4)
    number, _ = begin_probe(driver)
    let_it_fail(driver, bystander=2 if number != 2 else 3)
    assert driver.status(number) == "suspect"
    told = {where for where, claim in driver.sent(Verdict) if claim.status is Status.SUSPECT}
    assert {address(2), address(3), address(4)} <= told, "the accused included: it may refute"


def test_a_suspect_is_told_so_with_every_probe(driver: Driver) -> None:
    driver.meet(2)
    driver.receive(2, verdict(2, Status.SUSPECT))
    begin_probe(driver)
    assert (address(2), verdict(2, Status.SUSPECT, by=1)) in driver.sent(Verdict)


@pytest.mark.parametrize("first", [0, 1])
def test_a_suspect_hears_first_of_all_unless_that_is_switched_off(first: int) -> None:
    driver = Driver(replace(PROFILE, accusations_first=first))
    driver.meet(2)
    driver.receive(2, verdict(2, Status.SUSPECT, by=2))
    own_words = (address(2), verdict(2, Status.SUSPECT, by=1))
    begin_probe(driver)
    assert driver.sent(Verdict).count(own_words) == first, "with the ping"
    driver.receive(2, Ping(1))
    assert driver.sent(Verdict).count(own_words) == first, "with the ack"


def test_an_ack_that_answers_no_probe_is_counted(driver: Driver) -> None:
    driver.meet(2)
    driver.receive(2, Ack(12345))
    assert driver.core.counters["acks_unexpected"] == 1


def test_a_bystanders_ack_saves_nobody(driver: Driver) -> None:
    driver.meet(2, 3)
    number, sequence = begin_probe(driver)
    driver.receive(5 - number, Ack(sequence))
    driver.pass_time(INTERVAL + 0.1)
    assert driver.status(number) == "suspect"


def test_a_helper_relays_the_ack_under_the_requesters_sequence(driver: Driver) -> None:
    driver.meet(2, 3)
    driver.receive(2, PingRequest(500, node_id(3)))
    ((where, ping),) = driver.sent(Ping)
    assert where == address(3)
    driver.receive(3, Ack(ping.sequence))
    assert driver.sent(Ack) == [(address(2), Ack(500))]


def test_a_helper_without_an_ack_says_no_before_the_requester_gives_up(driver: Driver) -> None:
    driver.meet(2, 3)
    driver.receive(2, PingRequest(500, node_id(3)))
    driver.pass_time(TIMEOUT * PROFILE.nack_share + 0.01)
    assert (address(2), Nack(500)) in driver.sent(Nack)


def test_a_helper_pings_members_only(driver: Driver) -> None:
    driver.meet(2)
    driver.receive(2, PingRequest(500, node_id(99)))
    assert driver.sent(Ping) == []
    assert driver.core.counters["relays_refused"] == 1


def fail_a_probe(driver: Driver, *, nack: bool) -> None:
    number, sequence = begin_probe(driver)
    driver.pass_time(TIMEOUT + 0.01)
    if nack:
        driver.receive(5 - number, Nack(sequence))
    driver.pass_time(PROFILE.probe_window - TIMEOUT)
    assert driver.core.counters["probes_failed"] == 1


@pytest.mark.parametrize(("nack", "score"), [(True, 0), (False, 1)])
def test_a_failed_probe_costs_health_unless_the_helpers_say_no(nack: bool, score: int) -> None:
    driver = Driver()
    driver.meet(2, 3)
    fail_a_probe(driver, nack=nack)
    assert driver.core.health_score() == score


def test_in_bad_health_a_node_probes_in_fewer_rounds_and_waits_longer() -> None:
    """Lifeguard stretches interval and timeout (arXiv 1707.00788, IV-A)."""
    driver = Driver()
    driver.meet(2, 3)
    fail_a_probe(driver, nack=False)
    before = driver.now
    begin_probe(driver)
    assert driver.now - before > INTERVAL / 2, "a round is left out"
    driver.pass_time(2 * TIMEOUT - 0.05)
    assert driver.sent(PingRequest) == []
    driver.pass_time(0.1)
    assert driver.sent(PingRequest) != []
    driver.pass_time(2 * (PROFILE.probe_window - TIMEOUT) - 0.1)
    assert driver.core.counters["probes_failed"] == 1
    driver.pass_time(0.1)
    assert driver.core.counters["probes_failed"] == 2


def test_a_window_that_has_begun_is_not_stretched_further(driver: Driver) -> None:
    """al8n/memberlist#165: with windows that grow while they run, probes pile up."""
    driver.meet(2, 3)
    begin_probe(driver)
    for incarnation in range(1, 8):
        driver.receive(2, verdict(1, Status.SUSPECT, incarnation))
    assert driver.core.health_score() == PROFILE.health_score_max
    driver.pass_time(PROFILE.probe_window)
    assert driver.core.counters["probes_failed"] == 1


def test_after_a_stall_nobody_is_judged(driver: Driver) -> None:
    driver.meet(2, 3)
    begin_probe(driver)
    driver.now += 60.0
    driver.core.advance(driver.now)
    assert driver.core.counters["stalls"] == 1
    assert driver.status(2) == driver.status(3) == "alive"


def test_a_restarted_member_is_not_accused_for_its_earlier_life(driver: Driver) -> None:
    driver.meet(2)
    begin_probe(driver)
    driver.receive(2, alive(2, generation=2))
    driver.pass_time(INTERVAL - 0.1)
    assert driver.status(2) == "alive"
