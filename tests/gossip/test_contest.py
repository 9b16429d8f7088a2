"""Who keeps a node id, and who keeps a name, when two processes claim it."""

from dataclasses import replace

import pytest

from gossip import limits
from gossip.effects import OpenStream, PersistGeneration, PersistIncarnation, SendDatagram
from gossip.events import IdentityTaken, LedBack, NameKept, Renamed
from gossip.identity import other_name
from gossip.keyring import Keyring, configured
from gossip.member import Status
from gossip.messages.membership import Alive, Identified, Identify, Ping
from gossip.profiles import LAN
from simulations.node import Node
from simulations.world import World
from tests.gossip.drive import PROFILE, Driver, address, alive, metadata, node_id, packet, verdict

WINDOW = 2 * PROFILE.probe_timeout + 0.01
"""A question and its repetition."""


@pytest.fixture
def driver() -> Driver:
    """Node 5, of generation 1 and with tag 5."""
    driver = Driver(number=5)
    driver.meet(2, 3)
    return driver


def claim(generation: int = 1, tag: int = 99, at: int = 44) -> Alive:
    """A record of another process of node 5."""
    return alive(5, generation=generation)._replace(tag=tag, address=address(at))


def answer(driver: Driver, sender: int, generation: int, tag: int, at: int) -> None:
    """Answer the question that was asked last, from an address."""
    ((where, question),) = driver.sent(Identify)
    assert where == address(at)
    data = packet(sender, Identified(question.sequence, generation, tag), receiver=5)
    driver.core.datagram_received(data, address(at), driver.now)
    driver.effects = driver.core.effects()


# Node ids


def test_a_later_generation_is_asked_for_where_it_is_said_to_be(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    ((where, question),) = driver.sent(Identify)
    assert where == address(44)
    assert (question.generation, question.tag, question.address) == (1, 5, address(5))
    assert driver.done(PersistGeneration) == [], "nothing is decided by hearsay"


def test_unanswered_it_is_asked_for_once_more_by_packet_and_by_stream(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    driver.pass_time_answering(PROFILE.probe_timeout + 0.01, 2, 3)
    asked = [one for one in driver.done(OpenStream) if one.address == address(44)]
    assert len(asked) == 1
    assert len(driver.framed(Identify)) == 1


def test_an_earlier_life_that_nobody_answers_for_is_outlived(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    driver.pass_time(WINDOW)
    assert driver.done(PersistGeneration) == [PersistGeneration(10)]
    told = {(where, c.generation, c.incarnation) for where, c in driver.sent(Alive)}
    assert {(address(2), 10, 1), (address(3), 10, 1)} <= told
    assert driver.events(IdentityTaken) == []
    own = driver.member(5)
    assert own is not None
    assert own.generation == 10


def test_an_earlier_life_of_the_same_generation_is_outlived_too(driver: Driver) -> None:
    driver.receive(2, claim(generation=1, tag=2))
    driver.pass_time(WINDOW)
    assert driver.done(PersistGeneration) == [PersistGeneration(2)]


@pytest.mark.parametrize("tag", [1, 99])
def test_a_life_of_the_same_generation_at_this_very_address_is_outlived_whatever_its_tag(
    driver: Driver, tag: int
) -> None:
    """A restored disk begins a generation that was before: that life's records outrank this one's
    by their incarnation."""
    driver.receive(2, claim(generation=1, tag=tag, at=5)._replace(incarnation=4))
    answer(driver, 5, 1, 5, at=5)
    assert driver.done(PersistGeneration) == [PersistGeneration(2)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEAVING, Status.LEFT])
def test_a_verdict_about_a_later_life_is_outlived_at_once(driver: Driver, status: Status) -> None:
    driver.receive(2, verdict(5, status, 70, generation=9))
    assert driver.done(PersistGeneration) == [PersistGeneration(10)]


def test_a_suspected_later_life_may_live_and_is_left_to_its_own_record(driver: Driver) -> None:
    driver.receive(2, verdict(5, Status.SUSPECT, 70, generation=9))
    assert driver.done(PersistGeneration) == []


@pytest.mark.parametrize(("generation", "tag"), [(2, 1), (1, 6)])
def test_another_process_that_answers_and_is_greater_keeps_the_node_id(
    driver: Driver, generation: int, tag: int
) -> None:
    driver.receive(2, claim(generation, tag))
    answer(driver, 5, generation, tag, at=44)
    assert driver.events(IdentityTaken) == [IdentityTaken(address(44))]
    assert driver.core.next_deadline() is None
    driver.receive(2, Ping(1))
    assert driver.effects == [], "it takes no part any more, and doesn't leave in the other's name"


def test_another_process_that_answers_and_is_lesser_is_left_to_yield(driver: Driver) -> None:
    driver.receive(2, claim(generation=1, tag=4))
    answer(driver, 5, 1, 4, at=44)
    assert driver.events(IdentityTaken) == []
    assert driver.done(PersistGeneration) == []


def test_a_lesser_process_where_a_later_life_was_yields_and_that_life_is_outlived(
    driver: Driver,
) -> None:
    driver.receive(2, claim(generation=9))
    answer(driver, 5, 1, 4, at=44)
    assert driver.done(PersistGeneration) == [PersistGeneration(10)]


def test_the_one_that_is_asked_asks_back_and_loses_when_it_is_lesser(driver: Driver) -> None:
    driver.receive(5, Identify(7, 2, 1, address(44)))
    assert driver.sent(Identified) == [(address(5), Identified(7, 1, 5))]
    answer(driver, 5, 2, 1, at=5)
    assert driver.events(IdentityTaken) == [IdentityTaken(address(5))]


def test_a_question_that_nobody_stands_behind_changes_nothing(driver: Driver) -> None:
    driver.receive(5, Identify(7, 2, 1, address(44)))
    driver.pass_time(WINDOW)
    assert driver.done(PersistGeneration) == []
    assert driver.events(IdentityTaken) == []


def test_an_address_that_leads_back_is_told_of_once(driver: Driver) -> None:
    for expected in ([LedBack(address(44))], []):
        generation = driver.core.members(driver.now)[0].generation
        driver.receive(2, claim(generation + 1))
        answer(driver, 5, generation, 5, at=44)
        assert driver.events(LedBack) == expected
        assert driver.done(PersistGeneration) == [PersistGeneration(generation + 2)]


def test_an_earlier_life_at_this_very_address_is_nothing_to_tell(driver: Driver) -> None:
    driver.receive(2, claim(generation=9, at=5))
    answer(driver, 5, 1, 5, at=5)
    assert driver.events(LedBack) == []
    assert driver.done(PersistGeneration) == [PersistGeneration(10)]


def test_an_answer_to_no_question_is_counted(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    driver.receive(5, Identified(12345, 9, 99))
    driver.receive(3, Identified(12345, 9, 99))
    assert driver.events(IdentityTaken) == []
    assert driver.core.counters["acks_unexpected"] == 2


def test_nothing_else_is_taken_from_a_process_with_this_node_id(driver: Driver) -> None:
    driver.receive(5, Ping(1), alive(9))
    assert driver.done(SendDatagram) == []
    assert driver.status(9) is None
    assert driver.core.counters["dropped_own"] == 1


def test_a_generation_that_nobody_can_exceed_costs_the_node_id(driver: Driver) -> None:
    driver.receive(2, claim(generation=limits.COUNTER_MAX - 1))
    driver.pass_time(WINDOW)
    assert driver.events(IdentityTaken) == [IdentityTaken(address(5))]
    assert driver.done(PersistGeneration) == []


def test_a_stall_is_no_silence_of_the_other(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    driver.now += 60.0
    driver.core.advance(driver.now)
    driver.effects = driver.core.effects()
    assert driver.done(PersistGeneration) == []


def test_a_leaving_node_contests_nothing(driver: Driver) -> None:
    driver.receive(2, claim(generation=9))
    driver.core.leave(driver.now)
    driver.pass_time(WINDOW)
    assert driver.done(PersistGeneration) == []


def test_a_leaving_node_does_nothing_about_an_answer_to_what_it_asked_before(
    driver: Driver,
) -> None:
    driver.receive(4, named(4))
    ((_, question),) = driver.sent(Identify)
    driver.core.leave(driver.now)
    driver.receive(4, Identified(question.sequence, 1, 4))
    assert driver.events(Renamed) == []
    assert driver.core.counters["acks_unexpected"] == 1


# Names


def named(number: int, name: str = "node-5") -> Alive:
    return alive(number)._replace(metadata=metadata(name))


def test_the_greater_node_id_goes_on_under_another_name(driver: Driver) -> None:
    driver.receive(4, named(4))
    assert driver.events(Renamed) == [], "not before the other answers"
    answer(driver, 4, 1, 4, at=4)
    assert driver.events(Renamed) == [Renamed("node-5~0005", "node-5", address(4))]
    assert len(driver.done(PersistIncarnation)) == 1
    told = [c for _, c in driver.sent(Alive) if c.node_id == node_id(5)]
    assert {c.metadata.name for c in told} == {"node-5~0005"}
    assert driver.core.members(driver.now)[0].name == "node-5~0005"


def test_the_lower_node_id_keeps_its_name_and_says_so_once(driver: Driver) -> None:
    for expected in ([NameKept("node-5", address(8))], []):
        incarnation = 1 if expected else 2
        driver.receive(8, named(8)._replace(incarnation=incarnation))
        answer(driver, 8, 1, 8, at=8)
        assert driver.events(NameKept) == expected
        assert driver.done(PersistIncarnation) == []


def test_a_holder_that_does_not_answer_yields(driver: Driver) -> None:
    driver.receive(4, named(4))
    driver.pass_time_answering(WINDOW, 2, 3)
    assert driver.events(Renamed) == []
    assert driver.core.members(driver.now)[0].name == "node-5"


def test_a_silent_holder_is_asked_again_for_as_long_as_it_is_listed(driver: Driver) -> None:
    """Cut off while it was asked, and not for so long that it failed: or both keep the name."""
    driver.receive(4, named(4))
    driver.pass_time_answering(WINDOW + limits.NAMESAKE_SECONDS, 2, 3, 4)
    question = driver.sent(Identify)[-1][1]
    driver.receive(4, Identified(question.sequence, 1, 4))
    assert driver.events(Renamed) == [Renamed("node-5~0005", "node-5", address(4))]
    driver.pass_time_answering(3 * limits.NAMESAKE_SECONDS, 2, 3, 4)
    assert driver.sent(Identify) == [], "settled"


def test_a_holder_that_goes_by_another_name_meanwhile_is_not_asked_again(driver: Driver) -> None:
    driver.receive(4, named(4))
    driver.pass_time_answering(WINDOW, 2, 3, 4)
    driver.receive(4, named(4, "other")._replace(incarnation=2))
    driver.pass_time_answering(3 * limits.NAMESAKE_SECONDS, 2, 3, 4)
    assert driver.sent(Identify) == []


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEAVING, Status.LEFT])
def test_a_dead_or_leaving_holder_is_not_even_asked(driver: Driver, status: Status) -> None:
    """hashicorp/consul#6897: a name stayed with the dead."""
    driver.receive(2, named(4), verdict(4, status))
    (question,) = driver.sent(Identify)
    driver.receive(4, Identified(question[1].sequence, 1, 4))
    assert driver.events(Renamed) == []


def test_no_vote_is_needed_nor_can_silence_end_a_node() -> None:
    """hashicorp/serf resolveNodeConflict asks the cluster who has a name; with no answer the node
    shuts itself down."""
    driver = Driver(number=5)
    driver.receive(4, named(4))
    driver.pass_time(60.0)
    assert driver.core.next_deadline() is not None
    assert driver.core.members(driver.now)[0].status == "alive"


def test_the_other_name_is_nobody_elses_and_fits() -> None:
    identity = "0b9d8c7e-0000-4000-8000-0123456789ab"
    assert other_name("gw", identity, []) == "gw~89ab"
    assert other_name("gw", identity, ["gw~89ab"]) == "gw~456789ab"
    long = other_name("ä" * 64, identity, [])
    assert len(long.encode()) <= limits.NAME_BYTES_MAX
    assert long.endswith("ä~89ab")


# Addresses


def test_a_node_says_that_it_moved_by_a_higher_incarnation(driver: Driver) -> None:
    driver.core.readvertise(address(55), driver.now)
    driver.effects = driver.core.effects()
    assert driver.done(PersistIncarnation) == [PersistIncarnation(2)]
    told = driver.sent(Alive)
    assert {(c.address, c.incarnation) for _, c in told} == {(address(55), 2)}
    driver.core.readvertise(address(55), driver.now)
    assert driver.core.effects() == [], "no news"
    with pytest.raises(ValueError, match="cluster_advertise"):
        driver.core.readvertise(("0.0.0.0", 8005), driver.now)


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEFT])
def test_the_address_of_the_dead_is_free_at_once(driver: Driver, status: Status) -> None:
    """hashicorp/consul#733: 'conflicting address' until the old entry was reaped."""
    driver.receive(2, verdict(3, status))
    driver.receive(7, alive(7, at=3))
    member = driver.member(7)
    assert member is not None
    assert (member.status, member.address) == ("alive", address(3))
    assert driver.status(3) == ("failed" if status is Status.FAILED else "left")


def test_a_silent_member_whose_address_another_has_is_doubted_at_once(driver: Driver) -> None:
    """caio/foca#31: several identities at one address were held for alive."""
    driver.receive(7, alive(7, at=3))
    assert driver.status(3) == "suspect"
    driver.receive(7, alive(7, 2, at=3))
    driver.receive(3, alive(3, 2))
    driver.receive(7, alive(7, 3, at=3))
    assert driver.status(3) == "alive", "not again each time that one of the two refutes"


def test_a_packet_for_a_former_tenant_is_answered_with_who_lives_here_now(driver: Driver) -> None:
    for _ in range(20):
        driver.receive(2, Ping(0))  # until nothing rides along any more
    driver.receive(2, Ping(1), receiver=9)
    assert [c.node_id for _, c in driver.sent(Alive)] == [node_id(5)]
    driver.receive(2, Ping(2), receiver=9)
    assert driver.sent(Alive) == [], "not more often than once a while"
    assert driver.core.counters["dropped_receiver"] == 2
    driver.pass_time_answering(limits.STRAYS_SECONDS + 0.1, 2, 3)
    driver.receive(2, Ping(3), receiver=9)
    assert len(driver.sent(Alive)) == 1


def test_a_stranger_with_a_wrong_address_is_not_answered(driver: Driver) -> None:
    driver.receive(8, Ping(1), receiver=9)
    assert driver.done(SendDatagram) == []


def test_an_address_from_which_packets_to_another_come_back_is_asked_and_told_of(
    driver: Driver,
) -> None:
    driver.receive(5, Ping(1), receiver=3)
    assert driver.events(LedBack) == [], "anybody could have sent that"
    assert driver.core.counters["dropped_own"] == 1
    answer(driver, 5, 1, 5, at=3)
    assert driver.events(LedBack) == [LedBack(address(3))]
    driver.pass_time_answering(limits.STRAYS_SECONDS + 0.1, 2, 3)
    driver.receive(5, Ping(1), receiver=3)
    assert driver.sent(Identify) == [], "told is told"


def test_an_address_from_which_nothing_comes_back_is_none_to_tell_of(driver: Driver) -> None:
    driver.receive(5, Ping(1), receiver=3)
    driver.pass_time_answering(WINDOW, 2, 3)
    assert driver.events(LedBack) == []
    assert driver.done(PersistGeneration) == []


# Clusters


def start_copy(world: World, original: Node, generation: int) -> Node:
    """A process started from a copy of another node's prefix, at an address of its own."""
    copy = world.nodes[-1]
    copy.disk.say(original.id, generation - 1)
    copy.start()
    return copy


def taken(world: World) -> list[int]:
    return [seen.node for seen in world.observed if isinstance(seen.event, IdentityTaken)]


@pytest.mark.parametrize("keyring", [None, configured(b"k" * 32)], ids=["clear", "sealed"])
@pytest.mark.parametrize("nodes", [1, 2, 3, 8])
@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_of_two_processes_with_one_node_id_one_gives_it_up(
    nodes: int, ahead: int, keyring: Keyring | None
) -> None:
    world = World(nodes + 1, seed=40 + nodes + ahead, keyring=keyring)
    world.form(count=nodes)
    original = world.nodes[0]
    start_copy(world, original, original.generation + ahead)
    world.run_until(lambda: len(taken(world)) > 0, within=60.0)
    world.run(30.0)
    (loser,) = taken(world)
    if ahead:
        assert loser == original.index
    others = world.nodes[1:nodes]
    world.nodes[loser].crash()
    winner = original if loser != original.index else world.nodes[-1]
    world.run(10.0)
    assert all((winner.id, winner.generation) in node.alive_seen() for node in others)


def test_a_restored_disk_rejoins_by_itself() -> None:
    """scylladb#5164: a generation that the cluster didn't accept locked a node out."""
    world = World(5, seed=50)
    world.form()
    node = world.nodes[4]
    for _ in range(3):
        node.crash()
        node.start()
        world.run(5.0)
    node.crash()
    node.disk.say(node.id, 0)
    node.start()
    world.run_until(world.is_whole, within=20.0)
    assert node.generation == 5


def test_two_nodes_of_one_name_end_with_two_names() -> None:
    world = World(4, seed=51)
    world.nodes[3].name = "node-1"
    world.form()
    world.run(10.0)
    names = {m.id: m.name for m in world.nodes[0].core.members(world.now)}
    lower, greater = sorted((world.nodes[1].id, world.nodes[3].id))
    assert names[lower] == "node-1"
    assert names[greater] == f"node-1~{greater[-4:]}"
    for node in world.nodes:
        assert {m.id: m.name for m in node.core.members(world.now)} == names
    assert sum(isinstance(seen.event, Renamed) for seen in world.observed) == 1
    assert world.is_whole()


def test_a_dead_nodes_name_and_address_are_taken_over_at_once() -> None:
    """hashicorp/consul#6897, weaviate#3045: a replacement waited for the old entry to be reaped."""
    world = World(4, seed=52, profile=replace(LAN, failed_ttl=60.0))
    world.form(count=3)
    dead, heir = world.nodes[2], world.nodes[3]
    dead.crash()
    world.run_until(lambda: world.nodes[0].status_of(dead) == "failed", within=60.0)
    world.give_address(dead, heir)
    heir.name = "node-2"
    heir.start()
    world.run_until(world.is_whole, within=5.0)
    assert not any(isinstance(seen.event, Renamed) for seen in world.observed)
    world.run(30.0)
    assert world.nodes[0].status_of(dead) == "failed"
    world.run(60.0)
    assert world.nodes[0].status_of(dead) is None
