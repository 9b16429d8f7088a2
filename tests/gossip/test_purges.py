"""Purges: done once by everyone, found when they are lost, made up for when they can't be had."""

import random
from collections import Counter

import msgpack
import pytest

from gossip import limits
from gossip.events import Purged
from gossip.invalidation import Awaited, By, Invalidation
from gossip.member import Metadata, Status
from gossip.messages.changes import Heartbeat
from gossip.messages.membership import Alive, TableDigest
from gossip.messages.purges import Purge, PurgeMark, PurgesWanted, Source
from gossip.purges import TooManyPurges
from gossip.replica import Changeset
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import Driver, address, alive, node_id, packet, verdict

KEY = Invalidation("entities", By.KEY, "keyauth_credentials:k:::::")
WHOLE = Invalidation("entities", By.ALL, "")
SOMEBODY, ANOTHER = address(2), address(3)


def source(number: int = 2, generation: int = 1, tag: int | None = None) -> Source:
    return Source(node_id(number), generation, number if tag is None else tag, "entities")


def purge(
    sequence: int, number: int = 2, version: tuple[int, int, int] = (0, 0, 0), generation: int = 1
) -> Purge:
    return Purge(source(number, generation), sequence, By.KEY, f"k{sequence}", version)


def grown() -> Driver:
    """A node that has run for a while, among nodes 2 and 3."""
    driver = Driver()
    driver.meet(2, 3)
    driver.pass_time_answering(limits.PURGE_NEWCOMER_SECONDS, 2, 3)
    return driver


def done(driver: Driver) -> list[str]:
    """What the last input purged; ``*`` for a whole cache."""
    return [event.what.text or "*" for event in driver.events(Purged)]


def originate(driver: Driver, what: Invalidation = KEY) -> Purge:
    made = driver.core.purge(what, driver.now)
    driver.effects = driver.core.effects()
    return made


def test_a_purge_goes_to_every_member_at_once_and_is_done_here_too() -> None:
    driver = grown()
    made = originate(driver)
    assert driver.sent(Purge) == [(SOMEBODY, made), (ANOTHER, made)]
    assert made == Purge(source(1), 1, By.KEY, KEY.text, (0, 0, 0))
    assert driver.events(Purged) == [Purged(KEY, (0, 0, 0))]
    assert originate(driver).sequence == 2


def test_it_is_done_once_however_often_and_late_it_comes() -> None:
    driver = grown()
    driver.receive(2, purge(1))
    assert done(driver) == ["k1"]
    driver.receive(3, purge(1))
    assert done(driver) == []
    driver.pass_time_answering(600.0, 2, 3)
    driver.receive(2, purge(1))
    assert done(driver) == []
    assert driver.core.counters["purges_known"] == 2


def test_order_does_not_matter() -> None:
    driver = grown()
    seen: list[str] = []
    for sequence in (3, 1, 2, 3, 1):
        driver.receive(2, purge(sequence))
        seen += done(driver)
    assert seen == ["k3", "k1", "k2"]
    driver.pass_time_answering(5.0, 2, 3)
    assert driver.sent(PurgesWanted) == []
    assert driver.core.counters["purges_skipped"] == 0


def test_a_gap_is_asked_for_of_whoever_showed_it_then_of_the_origin() -> None:
    driver = grown()
    driver.receive(3, PurgeMark(source(), 2))
    assert done(driver) == []
    driver.pass_time(0.1)
    wanted = PurgesWanted(source(), (1, 2))
    assert driver.sent(PurgesWanted)[:2] == [(ANOTHER, wanted), (SOMEBODY, wanted)]
    driver.receive(2, purge(1), purge(2))
    assert done(driver) == ["k1", "k2"]
    driver.pass_time_answering(5.0, 2, 3)
    assert driver.core.counters["purges_skipped"] == 0


def test_what_is_asked_for_is_given_as_long_as_it_is_kept() -> None:
    driver = grown()
    driver.receive(2, purge(1), purge(2), purge(4))
    driver.receive(3, PurgesWanted(source(), (1, 2, 3, 4)))
    assert driver.sent(Purge) == [(ANOTHER, purge(1)), (ANOTHER, purge(2)), (ANOTHER, purge(4))]
    made = [originate(driver) for _ in range(3)]
    driver.receive(2, PurgesWanted(source(1), (1, 3)))
    assert driver.sent(Purge) == [(SOMEBODY, made[0]), (SOMEBODY, made[2])]


def test_a_gap_of_two_seconds_is_made_up_for_by_purging_that_cache_whole() -> None:
    driver = grown()
    driver.receive(2, purge(3))
    driver.pass_time(limits.PURGE_GAP_SECONDS - 0.01)
    assert done(driver) == []
    driver.pass_time(0.02)
    assert driver.events(Purged) == [Purged(WHOLE, (0, 0, 0))]
    assert driver.core.counters["purges_skipped"] == 2
    driver.receive(2, purge(1))
    assert done(driver) == [], "it has been made up for"
    driver.receive(2, purge(4))
    assert done(driver) == ["k4"]


def test_a_gap_that_is_too_wide_to_ask_for_is_made_up_for_at_once() -> None:
    driver = grown()
    driver.receive(2, PurgeMark(source(), limits.COUNTER_MAX - 1))
    assert done(driver) == ["*"]
    assert driver.sent(PurgesWanted) == []
    driver.receive(2, purge(limits.COUNTER_MAX))
    assert done(driver) == [f"k{limits.COUNTER_MAX}"]


def test_whoever_did_one_tells_a_few_others_how_far_its_source_has_come() -> None:
    driver = grown()
    driver.meet(4, 5)
    driver.receive(2, purge(1))
    driver.pass_time(limits.PURGE_NEWS_SECONDS)
    told = driver.sent(PurgeMark)
    assert [mark for _, mark in told] == [PurgeMark(source(), 1)] * limits.PURGE_NEWS_PEERS
    driver.pass_time_answering(60.0, 2, 3, 4, 5)
    assert driver.sent(PurgeMark) == [], "and then it is quiet"


def test_an_origin_tells_in_some_more_rounds() -> None:
    driver = grown()
    originate(driver)
    driver.pass_time_answering(60.0, 2, 3)
    assert len(driver.sent(PurgeMark)) == limits.PURGE_OWN_ROUNDS * limits.PURGE_NEWS_PEERS


def test_a_newcomer_takes_every_source_for_as_far_as_it_is_and_purges_once_whole() -> None:
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(3, PurgeMark(source(), 40))
    assert done(driver) == ["*"]
    driver.receive(2, purge(41))
    assert done(driver) == ["k41"]
    driver.receive(3, purge(9, number=3))
    assert done(driver) == ["*", "k9"]
    driver.pass_time_answering(5.0, 2, 3)
    assert driver.sent(PurgesWanted) == []
    assert driver.core.counters["purges_adopted"] == 2
    assert driver.core.counters["purges_skipped"] == 0


def test_a_later_life_of_a_node_begins_at_1_and_what_is_late_of_the_former_is_done() -> None:
    driver = grown()
    driver.receive(2, purge(1), purge(2))
    driver.receive(2, purge(1, generation=2))
    assert done(driver) == ["k1"]
    driver.receive(3, purge(2))
    assert done(driver) == [], "known of that life"
    driver.receive(3, purge(1, generation=2))
    assert done(driver) == []
    driver.receive(3, Purge(Source(node_id(2), 1, 99, "entities"), 7, By.KEY, "k", (0, 0, 0)))
    assert done(driver) == ["k"], "of a life nobody told of: it costs nothing to do it"
    driver.pass_time_answering(5.0, 2, 3)
    assert driver.sent(PurgesWanted) == [], "and it isn't followed"


def test_a_purge_is_done_again_when_the_version_it_was_made_at_is_reached() -> None:
    driver = grown()
    changesets = [Changeset(*driver.authority.commit(b"x")) for _ in range(2)]
    second = changesets[1].version
    driver.receive(2, purge(1, version=second))
    assert driver.events(Purged) == [Purged(Invalidation("entities", By.KEY, "k1"), second)]
    driver.replica.offer(*changesets[0])
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    assert done(driver) == []
    driver.replica.offer(*changesets[1])
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    assert done(driver) == ["k1"]
    assert driver.core.effects() == []


def test_what_is_made_up_for_is_due_again_at_the_highest_version_served_anywhere() -> None:
    driver = grown()
    changeset = Changeset(*driver.authority.commit(b"x"))
    driver.receive(3, Heartbeat(changeset.version, changeset.digest[:4], None))
    driver.receive(2, purge(2))
    driver.pass_time_answering(limits.PURGE_GAP_SECONDS + 0.1, 2, 3)
    assert Purged(WHOLE, changeset.version) in driver.events(Purged)
    driver.replica.offer(*changeset)
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    assert done(driver) == ["*"]


def data_plane(number: int) -> Alive:
    record = alive(number)
    return record._replace(metadata=Metadata(f"node-{number}", "data_plane", "", "1.0", "", ""))


def test_data_planes_and_nodes_that_are_no_members_have_no_say() -> None:
    driver = grown()
    driver.receive(4, data_plane(4))
    driver.receive(4, purge(1, number=4))
    driver.receive(2, purge(1, number=4), PurgeMark(source(4), 7), purge(1, number=9))
    driver.receive(9, purge(1, number=9))
    assert done(driver) == []
    assert driver.core.counters["purges_refused"] == 4
    assert driver.core.counters["dropped_stranger"] == 1


def test_nobody_can_renumber_another_nodes_own_purges() -> None:
    driver = grown()
    driver.receive(2, PurgeMark(source(1), 50), purge(60, number=1))
    assert done(driver) == []
    assert originate(driver).sequence == 1


def test_one_node_originates_so_many_and_is_told_when_there_is_room_again() -> None:
    driver = grown()
    for _ in range(limits.PURGES_BURST):
        originate(driver)
    with pytest.raises(TooManyPurges) as refused:
        originate(driver)
    driver.now += refused.value.retry_after
    originate(driver)
    assert driver.core.counters["purges_too_many"] == 1


@pytest.mark.parametrize(
    "what",
    [
        Invalidation("entities", By.KEY, "ü" * (limits.PURGE_TEXT_BYTES_MAX // 2 + 1)),
        Invalidation("c" * (limits.CACHE_NAME_BYTES_MAX + 1), By.KEY, "k"),
    ],
)
def test_what_is_too_long_is_refused_before_it_is_sent(what: Invalidation) -> None:
    driver = grown()
    with pytest.raises(ValueError, match="bytes"):
        driver.core.purge(what, driver.now)
    longest = Invalidation("c" * limits.CACHE_NAME_BYTES_MAX, By.TAG, "k" * 640)
    assert len(driver.sent(Purge)) == 0
    originate(driver, longest)
    assert len(driver.sent(Purge)) == 2


def test_sources_are_remembered_within_a_bound() -> None:
    driver = grown()
    for tag in range(limits.PURGE_SOURCES_MAX + 50):
        driver.receive(2, PurgeMark(source(2, tag=tag), 1))
    assert len(driver.core._purges._sources) == limits.PURGE_SOURCES_MAX
    assert driver.core.counters["purges_skipped"] >= 50, "who was forgotten was made up for"


def test_a_push_pull_tells_how_far_each_source_has_come_only_where_that_differs() -> None:
    driver = grown()
    driver.receive(2, purge(1))
    driver.pass_time(1.0)
    exchange = driver.core._exchange
    digest = exchange._beside.digest()
    driver.receive_table(3, TableDigest(exchange._digest(), answer=False, beside=digest))
    assert driver.framed(PurgeMark) == []
    driver.receive_table(3, TableDigest(exchange._digest(), answer=False))
    assert driver.framed(PurgeMark) == [PurgeMark(source(), 1)]


def test_a_node_that_no_packet_reached_hears_of_a_purge_by_push_pull() -> None:
    driver = grown()
    driver.receive_table(3, PurgeMark(source(), 1))
    driver.pass_time(0.01)
    assert driver.sent(PurgesWanted) == [(ANOTHER, PurgesWanted(source(), (1,)))]


def test_what_waits_for_versions_is_bounded() -> None:
    awaited = Awaited(3)
    for number in range(1, 5):
        awaited.add((1, 0, number), Invalidation("entities", By.KEY, f"k{number}"))
    assert len(awaited) == 1
    assert awaited.reached((1, 0, 3)) == []
    assert awaited.reached((1, 0, 4)) == [WHOLE]
    assert len(awaited) == 0


def test_loss_duplication_and_reordering_end_with_every_purge_done() -> None:
    rng = random.Random(5)
    driver = grown()
    sent = [purge(sequence) for sequence in range(1, 101)]
    arriving = [one for one in sent if rng.random() > 0.2] * 2
    rng.shuffle(arriving)
    seen: list[str] = []
    for one in arriving:
        driver.receive(2, one)
        seen += done(driver)
    driver.receive(2, PurgeMark(source(), 100))
    for _ in range(20):
        driver.pass_time(0.02)
        for where, wanted in driver.sent(PurgesWanted):
            driver.receive(2 if where == SOMEBODY else 3, *(sent[n - 1] for n in wanted.sequences))
            seen += done(driver)
    assert sorted(seen) == sorted(one.text for one in sent)
    assert driver.core.counters["purges_skipped"] == 0


def sources_of(driver: Driver) -> list[PurgeMark]:
    return [one for one in driver.core._purges.messages(driver.now) if isinstance(one, PurgeMark)]


def test_push_pulls_tell_of_the_processes_that_members_are_now() -> None:
    """Of a life that is over others would tell its own node in vain, for ever."""
    driver = grown()
    driver.receive(2, purge(1), purge(2))
    assert sources_of(driver) == [PurgeMark(source(), 2)]
    driver.receive(2, alive(2, generation=2)._replace(tag=99))
    assert sources_of(driver) == []
    driver.receive(2, Purge(source(2, 2, 99), 1, By.KEY, "k", (0, 0, 0)))
    assert sources_of(driver) == [PurgeMark(source(2, 2, 99), 1)]


def test_a_process_that_goes_on_as_a_later_life_numbers_anew() -> None:
    driver = grown()
    originate(driver)
    driver.receive(2, verdict(1, Status.FAILED, generation=5))
    assert originate(driver).source == Source(node_id(1), 6, 1, "entities")
    assert originate(driver).sequence == 2


def part(kind: int, *fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return bytes((kind, 255)) + len(packed).to_bytes(4, "big") + packed


ORIGIN = [bytes(14) + b"\x00\x02", 1, 2, "entities"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (90, [[*ORIGIN[:3], ""], 1, 0, "k", [0, 0, 0]]),
        (90, [[*ORIGIN[:3], "c" * 33], 1, 0, "k", [0, 0, 0]]),
        (90, [[*ORIGIN[:2], -1, "c"], 1, 0, "k", [0, 0, 0]]),
        (90, [ORIGIN[:3], 1, 0, "k", [0, 0, 0]]),
        (90, ["x", 1, 0, "k", [0, 0, 0]]),
        (90, [ORIGIN, 0, 0, "k", [0, 0, 0]]),
        (90, [ORIGIN, 2**62 + 1, 0, "k", [0, 0, 0]]),
        (90, [ORIGIN, 1, 3, "k", [0, 0, 0]]),
        (90, [ORIGIN, 1, True, "k", [0, 0, 0]]),
        (90, [ORIGIN, 1, 0, "k" * 641, [0, 0, 0]]),
        (90, [ORIGIN, 1, 0, b"k", [0, 0, 0]]),
        (90, [ORIGIN, 1, 0, "k", [0, 0]]),
        (91, [ORIGIN, 0]),
        (91, [ORIGIN]),
        (92, [ORIGIN, []]),
        (92, [ORIGIN, [0]]),
        (92, [ORIGIN, 7]),
        (92, [ORIGIN, list(range(1, 40))]),
    ],
)
def test_what_is_out_of_bounds_is_counted_and_changes_nothing(
    kind: int, fields: list[object]
) -> None:
    driver = grown()
    driver.effects = []
    driver.core.datagram_received(packet(2) + part(kind, *fields), SOMEBODY, driver.now)
    driver.effects = driver.core.effects()
    assert driver.core.counters["messages_malformed"] == 1
    assert done(driver) == []
    assert sources_of(driver) == []


def purged_by(world: World) -> Counter[str]:
    return Counter(
        seen.event.what.text or "*" for seen in world.observed if isinstance(seen.event, Purged)
    )


def test_in_a_cluster_with_relays_every_member_purges_once_and_in_a_few_hops() -> None:
    world = World(100, seed=6)
    world.begin_formed()
    world.run(limits.PURGE_NEWCOMER_SECONDS)
    for number in range(3):
        node = world.nodes[number * 30]
        node.core.purge(Invalidation("c", By.KEY, f"k{number}"), node.now())
        node.flush()
    world.run(0.01)
    assert purged_by(world) == {f"k{number}": 100 for number in range(3)}


def test_what_is_lost_on_the_way_is_found_within_a_moment() -> None:
    world = World(70, seed=7, link=Link(loss=0.05, jitter=0.001))
    world.begin_formed()
    world.run(limits.PURGE_NEWCOMER_SECONDS)
    node = world.nodes[5]
    for number in range(20):
        node.core.purge(Invalidation("c", By.KEY, f"k{number}"), node.now())
    node.flush()
    world.run_until(
        lambda: purged_by(world) == {f"k{number}": 70 for number in range(20)},
        within=limits.PURGE_GAP_SECONDS,
    )
    assert sum(one.core.counters["purges_asked"] for one in world.nodes) > 0
