"""Two databases in one cluster: nodes that follow different authorities refuse each other."""

import pytest

from gossip import limits
from gossip.effects import CloseStream, OpenStream
from gossip.events import AuthorityAdopted, ForeignAuthority, MemberForgotten
from gossip.messages.changes import Push
from gossip.messages.membership import Alive, Ping, PushPull, TableDigest
from gossip.profiles import LAN
from simulations.authority import LogAuthority
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, packet

OURS = "11111111-1111-4111-8111-111111111111"
THEIRS = "22222222-2222-4222-8222-222222222222"


def of(authority: str, number: int, incarnation: int = 1, generation: int = 1) -> Alive:
    """A node's record that tells which authority it follows."""
    claim = alive(number, incarnation, generation)
    return claim._replace(metadata=claim.metadata._replace(authority=authority))


@pytest.fixture
def driver() -> Driver:
    """Node 1, which follows OURS, with node 2 of the same."""
    driver = Driver()
    driver.core.follow(OURS, driver.now)
    driver.receive(2, of(OURS, 2))
    return driver


def test_nodes_of_one_authority_are_members(driver: Driver) -> None:
    assert driver.member(2) is not None
    assert driver.events(ForeignAuthority) == []


def test_a_node_of_another_authority_is_refused_by_name(driver: Driver) -> None:
    driver.receive(3, of(THEIRS, 3))
    assert driver.member(3) is None
    assert driver.events(ForeignAuthority) == [ForeignAuthority("node-3", address(3), THEIRS)]
    assert driver.core.counters["claims_foreign"] == 1


def test_it_is_refused_whoever_tells_of_it(driver: Driver) -> None:
    driver.receive(2, of(THEIRS, 3))
    assert driver.member(3) is None


def test_its_changesets_are_not_applied(driver: Driver) -> None:
    changeset = LogAuthority().commit(b"of another database")
    driver.receive(3, of(THEIRS, 3), Push(changeset, 0.0, 0))
    assert driver.replica.head() == Driver().replica.head()
    assert driver.core.counters["dropped_stranger"] == 1


@pytest.mark.parametrize("end", [PushPull(answer=False), TableDigest(bytes(16), answer=False)])
def test_a_table_of_its_is_answered_with_our_record_alone(
    driver: Driver, end: PushPull | TableDigest
) -> None:
    driver.receive_table(3, of(THEIRS, 3), alive(4), end)
    (record,) = driver.framed(Alive)
    assert (record.node_id, record.metadata.authority) == (node_id(1), OURS)
    assert driver.framed(PushPull) == [PushPull(answer=True)]
    assert driver.member(4) is None, "what it tells of others isn't heard either"


def test_being_told_so_the_opener_refuses_and_is_done(driver: Driver) -> None:
    driver.core.join([address(3)], driver.now)
    driver.effects = driver.core.effects()
    ((opened),) = driver.done(OpenStream)
    answer = packet(3, of(THEIRS, 3), PushPull(answer=True))
    driver.core.frame_received(opened.stream, answer, driver.now)
    driver.effects = driver.core.effects()
    assert driver.member(3) is None
    assert [event.authority for event in driver.events(ForeignAuthority)] == [THEIRS]
    assert [closed.stream for closed in driver.done(CloseStream)] == [opened.stream]


def test_it_is_told_of_once_a_minute(driver: Driver) -> None:
    told = 0
    for _ in range(20):
        driver.receive(3, of(THEIRS, 3))
        told += len(driver.events(ForeignAuthority))
        driver.now += limits.FOREIGN_REPEAT_SECONDS / 10
    assert told == 2
    assert driver.core.counters["claims_foreign"] == 20


def test_many_of_them_are_told_of_one_each_five_seconds(driver: Driver) -> None:
    told = 0
    for number in range(3, 103):
        driver.receive(number, of(THEIRS, number))
        told += len(driver.events(ForeignAuthority))
    assert told == 1


def test_more_of_them_than_are_remembered_do_no_harm(driver: Driver) -> None:
    for number in range(3, limits.FOREIGNERS_MAX + 103):
        claim = of(THEIRS, 3)._replace(node_id=node_id(number))
        driver.core.datagram_received(packet(number, claim), address(3), driver.now)
    assert len(driver.core.members(driver.now)) == 2


def test_a_record_of_ours_that_comes_later_is_admitted(driver: Driver) -> None:
    driver.receive(3, of(THEIRS, 3))
    driver.receive(3, of(OURS, 3, generation=2))
    assert driver.member(3) is not None


def test_a_record_from_before_the_refused_one_is_not(driver: Driver) -> None:
    driver.receive(3, of(THEIRS, 3, incarnation=5))
    driver.receive(2, of("", 3, incarnation=4))
    assert driver.member(3) is None


def test_who_knows_none_takes_the_first_peers() -> None:
    driver = Driver()
    driver.receive(2, of(THEIRS, 2))
    assert driver.events(AuthorityAdopted) == [AuthorityAdopted(THEIRS, address(2))]
    driver.pass_time(2 * PROFILE.probe_interval)
    told = [claim.metadata.authority for _, claim in driver.sent(Alive)]
    assert set(told) == {THEIRS}
    driver.receive(3, of(OURS, 3))
    assert driver.member(3) is None


def test_who_knows_none_does_not_take_one_from_hearsay() -> None:
    driver = Driver()
    driver.receive(2, alive(2))
    driver.receive(2, of(THEIRS, 3))
    assert driver.events(AuthorityAdopted) == []


def test_who_finds_its_own_authority_to_be_another_parts_with_those_it_met() -> None:
    driver = Driver()
    driver.receive(2, of(THEIRS, 2))
    driver.effects = []
    driver.core.follow(OURS, driver.now)
    driver.effects = driver.core.effects()
    told = [(where, claim.metadata.authority) for where, claim in driver.sent(Alive)]
    assert told == [(address(2), OURS)], "the other side finds out by this"
    assert driver.member(2) is None
    assert [event.name for event in driver.events(ForeignAuthority)] == ["node-2"]
    driver.pass_time(1.0)
    assert [event.member.name for event in driver.events(MemberForgotten)] == ["node-2"]


def test_a_member_that_turns_out_to_follow_another_is_taken_off_the_listing(
    driver: Driver,
) -> None:
    driver.receive(3, of("", 3))
    assert driver.member(3) is not None
    driver.receive(3, of(THEIRS, 3, incarnation=2))
    assert driver.member(3) is None


def test_a_probe_under_way_of_a_member_that_is_refused_ends_in_nothing(driver: Driver) -> None:
    driver.receive(3, of("", 3))
    driver.pass_time(2 * PROFILE.probe_interval)
    assert driver.core.counters["probes"] > 0
    driver.receive(3, of(THEIRS, 3, incarnation=2))
    driver.pass_time_answering(20.0, 2)
    assert driver.member(3) is None
    asked = [where for where, _ in driver.sent(Ping)]
    assert address(3) not in asked


def test_a_longer_id_than_may_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match="authority"):
        Driver(LAN).core.follow("x" * (limits.AUTHORITY_BYTES_MAX + 1), 100.0)


def test_who_was_foreign_is_none_any_more_once_its_authority_is_ours(driver: Driver) -> None:
    driver.receive(3, of(THEIRS, 3))
    assert driver.member(3) is None
    driver.core.follow(THEIRS, driver.now)
    driver.receive(3, of(THEIRS, 3))
    assert driver.member(3) is not None, "by the record that was refused before"
    assert driver.member(2) is None
