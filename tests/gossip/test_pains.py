"""What hurt the others, as whole clusters live it: each test states the rule that avoids it.

The pains are GOSSIP's table of 24 and the quirks under it. Many rules are tested where they live;
``test_every_pain_has_a_test`` holds the list against the docstrings of all tests.
"""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from gossip import limits
from gossip.events import Behind, ChangesetApplied, LeaveFinished, MemberChanged
from gossip.member import Status
from gossip.messages.changes import Push, Request
from gossip.messages.membership import Ack, Ping
from gossip.profiles import LAN
from gossip.replica import Head
from gossip.updates import Updates
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import Driver, address, alive, verdict

TESTS = Path(__file__).resolve().parents[1]
PAINS = (
    "hashicorp/memberlist#311",
    "al8n/memberlist#197",
    "hashicorp/memberlist state.go:565",
    "hashicorp/memberlist#222",
    "grafana/mimir#16254",
    "hashicorp/consul#6897",
    "CASSANDRA-10969",
    "scylladb#14991",
    "chitchat#94",
    "chitchat#127",
    "quickwit#5446",
    "hashicorp/serf#606",
    "hashicorp/consul#9927",
    "hashicorp/serf#78",
    "hashicorp/serf#448",
    "hashicorp/serf#465",
    "hashicorp/serf#283",
    "hashicorp/consul#5928",
    "cortex#4327",
    "dskit#192",
    "dskit#916",
    "hashicorp/consul#719",
    "caio/foca#15",
    "superfly/corrosion#198",
    # The quirks below the table.
    "hashicorp/memberlist state.go:935",
    "hashicorp/memberlist net.go:494",
    "hashicorp/memberlist#350",
    "hashicorp/memberlist util.go",
    "hashicorp/memberlist UpdateNode",
    "hashicorp/serf resolveNodeConflict",
    "al8n/memberlist#165",
    "al8n/memberlist long ids",
    "hashicorp/memberlist#357",
)
"""One name for each, as it stands in the docstring of its test."""


def docstrings() -> str:
    """Those of all test functions in files that name a pain, together."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text()
        if not any(pain in source for pain in PAINS):
            continue  # to parse all takes seconds
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                found.append(ast.get_docstring(node) or "")
    return "\n".join(found)


def test_every_pain_has_a_test() -> None:
    told = docstrings()
    assert [pain for pain in PAINS if pain not in told] == []


def failures(world: World, since: float = 0.0) -> list[str]:
    """Names of members that somebody declared failed."""
    return [
        seen.event.member.name
        for seen in world.observed
        if seen.at >= since
        and isinstance(seen.event, MemberChanged)
        and seen.event.member.status == "failed"
    ]


def test_a_mass_restart_leaves_nobody_dead() -> None:
    """hashicorp/memberlist#311: nodes back at incarnation 1 stayed dead, for others held
    "dead at 100" and dropped their claims without a word."""
    world = World(20, seed=31, link=Link(loss=0.05))
    world.form()
    for node in world.nodes[5:]:
        node.crash()
    world.run(90.0)
    for node in world.nodes[5:]:
        node.start()
    world.run_until(world.is_whole, within=10.0)


def test_a_zombie_claim_does_not_raise_the_dead() -> None:
    """al8n/memberlist#197: "dead at 10" over "dead at 1" was dropped, and "alive at 2" won."""
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(2, verdict(3, Status.FAILED, incarnation=1))
    driver.receive(2, verdict(3, Status.FAILED, incarnation=10))
    driver.receive(2, alive(3, incarnation=2))
    assert driver.status(3) == "failed"


def test_a_member_that_left_the_listing_is_not_re_created_by_old_claims() -> None:
    """hashicorp/memberlist state.go:565: 30 s after its death the name was forgotten, and any old
    claim made it anew."""
    driver = Driver(replace(LAN, failed_ttl=60.0))
    driver.meet(2, 3)
    driver.receive(2, verdict(3, Status.FAILED, incarnation=4))
    driver.pass_time_answering(100.0, 2)
    assert driver.status(3) is None
    driver.receive(2, alive(3, incarnation=4))
    assert driver.status(3) is None
    driver.receive(2, alive(3, incarnation=5))
    assert driver.status(3) == "alive"


def test_a_node_at_a_new_address_is_believed_at_once() -> None:
    """hashicorp/consul#6897: a pod that came back with another address was "conflicting" for 42 s,
    even after a graceful leave."""
    for last_word in (Status.ALIVE, Status.SUSPECT, Status.FAILED, Status.LEFT):
        driver = Driver()
        driver.meet(2, 3)
        if last_word is not Status.ALIVE:
            driver.receive(2, verdict(3, last_word, incarnation=9, by=3))
        driver.receive(3, alive(3, generation=2, at=33))
        member = driver.member(3)
        assert member is not None
        assert (member.status, member.address) == ("alive", address(33))


def test_a_generation_of_any_height_is_gone_above() -> None:
    """CASSANDRA-10969: generations came from the clock, and one of more than a year ahead was
    refused for ever. Here none does, and whoever finds a higher one of its own goes above it."""
    world = World(3, seed=40)
    world.form()
    node = world.nodes[-1]
    for generation in (1_800_000_000, 1):
        node.crash()
        world.run(1.0)
        node.disk.say(node.id, generation)
        node.start()
        world.run_until(world.is_whole, within=10.0)
    assert node.generation > 1_800_000_000


def test_nodes_that_forget_at_different_times_do_not_re_teach_each_other() -> None:
    """chitchat#94: a dead generation lived on between nodes that forgot it one after another."""
    world = World(8, seed=32, profile=replace(LAN, failed_ttl=20.0, push_pull_interval=5.0))
    world.form()
    victim = world.nodes[-1]
    victim.crash()
    world.run_until(
        lambda: all(node.status_of(victim) is None for node in world.nodes[:-1]), within=120.0
    )
    gone = world.now
    world.run(300.0)
    seen = [
        seen
        for seen in world.observed
        if seen.at > gone
        and isinstance(seen.event, MemberChanged)
        and seen.event.member.id == victim.id
    ]
    assert seen == []


def test_a_state_larger_than_any_packet_is_caught_up_with() -> None:
    """chitchat#127: a reset larger than a datagram never arrived."""
    world = World(3, seed=33, link=Link(loss=0.1))
    world.form()
    world.commit(0, b"x" * (20 * limits.PACKET_BYTES_MAX))
    world.run_until(world.has_spread, within=10.0)


def test_leaves_do_not_echo() -> None:
    """hashicorp/serf#606: two leaves of one node were rebroadcast for ever."""
    world = World(10, seed=34)
    world.form()
    world.run(30.0)
    idle = packets(world, 20.0)
    for _ in range(2):
        leaver = world.nodes[-1]
        leaver.leave()
        world.run_until(
            lambda: any(isinstance(seen.event, LeaveFinished) for seen in world.observed), 5.0
        )
        leaver.crash()
        world.run(1.0)
        leaver.start()
        world.run_until(world.is_whole, within=10.0)
    world.run(30.0)
    assert packets(world, 20.0) <= 1.1 * idle


def packets(world: World, seconds: float) -> int:
    """UDP packets that all nodes send in this time."""
    before = sum(node.core.counters["datagrams_out"] for node in world.nodes)
    world.run(seconds)
    return sum(node.core.counters["datagrams_out"] for node in world.nodes) - before


def test_the_queue_of_claims_is_bounded_by_the_members() -> None:
    """hashicorp/consul#9927: 160,000 intents in a queue, pruned too late."""
    updates = Updates(retransmit_mult=4)
    for number in range(100_000):
        updates.put(f"member {number % 50}", b"claim")
    assert len(updates) == 50


def test_a_lone_node_keeps_nothing_to_tell_nobody() -> None:
    """hashicorp/serf#78: with no peers the queue never drained."""
    driver = Driver()
    for number in range(2, 40):
        driver.meet(number)
    for number in range(2, 40):
        driver.receive(number, verdict(number, Status.LEFT, by=number))
    driver.receive(50, alive(50))
    driver.receive(50, Ping(1))
    carried = [claim for _, claim in driver.sent(type(verdict(2, Status.LEFT)))]
    assert len(carried) <= 38, "one claim a member, however long it waited"


def test_commits_that_arrive_in_any_order_are_applied_in_theirs() -> None:
    """hashicorp/serf#448: a push-pull replayed events in the order of a ring, up after down."""
    driver = Driver()
    driver.meet(2)
    made = [driver.authority.commit(b"%d" % number) for number in range(5)]
    applied = []
    for changeset in (made[4], made[2], made[0], made[3], made[1]):
        driver.receive(2, Push(changeset, 0.0, 0))
        applied += [event.changeset.version for event in driver.events(ChangesetApplied)]
    assert applied == [changeset.version for changeset in made]


def test_a_node_that_rejoins_is_not_told_the_past_again() -> None:
    """hashicorp/serf#465: rejoining replayed old events, and duplicates."""
    world = World(5, seed=35, link=Link(duplication=0.2))
    world.form()
    for number in range(20):
        world.commit(number % 4, b"%d" % number)
    world.run_until(world.has_spread, within=10.0)
    back = world.nodes[4]
    back.crash()
    back.start()
    restarted = world.now
    world.run(30.0)
    again = [
        seen
        for seen in world.observed
        if seen.at >= restarted and seen.node == 4 and isinstance(seen.event, ChangesetApplied)
    ]
    assert again == []


def test_a_commit_too_large_to_push_is_announced_and_pulled() -> None:
    """cortex#4327: "too big, not broadcasting", and nobody ever had it."""
    world = World(4, seed=36)
    world.form()
    world.commit(1, b"x" * 72_000)
    assert world.run_until(world.has_spread, within=1.0) < 0.1
    assert world.nodes[1].core.counters["announcements"] >= 1


def test_a_damaged_changeset_goes_no_further() -> None:
    """superfly/corrosion#198: a poison event spread by gossip stopped a fleet; what doesn't
    validate here isn't passed on."""
    driver = Driver()
    driver.meet(2, 3)
    good = driver.authority.commit(b"good")
    driver.receive(2, Push(good._replace(body=b"poison"), 0.0, 0))
    assert driver.core.counters["changesets_corrupt"] == 1
    driver.receive(3, Request(Head(*driver.replica.head())))
    assert driver.sent(Push) == []


def test_a_node_far_behind_takes_one_state_instead_of_a_storm_of_changes() -> None:
    """superfly/corrosion#198: millions of changes for a node that had been off for a while."""
    world = World(3, seed=37)
    world.form()
    world.nodes[2].crash()
    for node in world.nodes[:2]:
        node.replica.keep_log(10)
    for number in range(500):
        world.commit(number % 2, b"x")
        world.run(0.001)
    world.nodes[2].start()
    back = world.now
    world.run_until(world.has_spread, within=10.0)
    mine = [seen.event for seen in world.observed if seen.node == 2 and seen.at >= back]
    assert any(isinstance(event, Behind) for event in mine)
    assert sum(isinstance(event, ChangesetApplied) for event in mine) <= 10


def test_a_refutation_replaces_the_older_claim_about_us() -> None:
    """hashicorp/memberlist state.go:935: it was queued under another key, and stale and fresh
    claims competed for the room in packets."""
    driver = Driver()
    driver.meet(2)
    driver.receive(2, verdict(1, Status.SUSPECT))
    told = set()
    for _ in range(30):
        driver.receive(2, Ping(1))
        told |= {
            c.incarnation for _, c in driver.sent(type(alive(1))) if c.node_id == alive(1).node_id
        }
    assert told == {2}


def test_packets_of_one_origin_are_handled_in_their_order() -> None:
    """hashicorp/memberlist net.go:494: queues were last in, first out, and reordered what one node
    had said."""
    driver = Driver()
    driver.meet(2)
    driver.receive(2, alive(3), verdict(3, Status.SUSPECT), alive(3, incarnation=2))
    statuses = [event.member.status for event in driver.events(MemberChanged)]
    assert statuses == ["alive", "suspect", "alive"]


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_the_smallest_clusters_probe_and_stay_whole(nodes: int) -> None:
    """hashicorp/memberlist#350: whom to probe was chosen wrongly in small clusters until 2026."""
    world = World(nodes, seed=38)
    world.form()
    world.run(30.0)
    for node in world.nodes:
        assert (node.core.counters["probes"] >= 25) is (nodes > 1)
        assert node.core.counters["probes_failed"] == 0
    assert world.is_whole()


def test_the_dead_do_not_lengthen_the_time_to_refute() -> None:
    """hashicorp/memberlist util.go: n of every logarithm counted the dead not reaped yet."""
    driver = Driver()
    driver.meet(*range(2, 100))
    for number in range(4, 100):
        driver.receive(2, verdict(number, Status.FAILED))
    driver.receive(2, verdict(3, Status.SUSPECT))
    driver.pass_time_answering(LAN.suspicion_mult * LAN.probe_interval + 0.1, 2)
    assert driver.status(3) == "failed", "three members: the shortest time there is"


def test_a_leave_ends_even_if_its_claim_is_replaced_on_the_way() -> None:
    """hashicorp/memberlist UpdateNode: who waited for a broadcast missed its end when it was
    superseded, and hung for the whole time-out."""
    driver = Driver()
    driver.meet(2, 3)
    driver.core.leave(driver.now)
    driver.receive(2, verdict(1, Status.LEFT, incarnation=7))
    driver.pass_time(10 * LAN.leave_delay)
    assert driver.core.next_deadline() is None, "it has finished"


def test_records_of_old_lives_do_not_pile_up() -> None:
    """caio/foca#15: several identities of one address, 310 nodes counted as more than 400."""
    world = World(4, seed=39)
    world.form()
    for _ in range(10):
        world.nodes[3].crash()
        world.run(2.0)
        world.nodes[3].start()
        world.run_until(world.is_whole, within=10.0)
    assert [len(node.core.members(world.now)) for node in world.nodes] == [4] * 4


def test_an_ack_that_comes_late_saves_nobody_else() -> None:
    """al8n/memberlist#165: probes overlapped when health stretched them, and acks of one were taken
    for another's."""
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(2, Ack(123))
    assert driver.core.counters["acks_unexpected"] == 1
