"""Registers: one value for all, whoever set it last; kept, passed on, ended, bounded."""

import itertools
import random

import msgpack
import pytest

from gossip import limits
from gossip.events import ForcedOut, RegisterChanged
from gossip.invalidation import By, Invalidation
from gossip.member import Metadata, Status
from gossip.messages.membership import TableDigest
from gossip.messages.registers import Register
from simulations.links import Link
from simulations.node import Node
from simulations.world import World
from tests.gossip.drive import Driver, address, alive, node_id, packet, verdict

SOMEBODY, ANOTHER = address(2), address(3)
OWNER = bytes(14) + b"\x00\x02"
LOSSY = Link(loss=0.1, duplication=0.1, jitter=0.01)


def register(
    value: str | None,
    counter: int = 1,
    by: int = 2,
    tag: int = 0,
    name: str = "r",
    remaining: float | None = None,
) -> Register:
    return Register(name, counter, node_id(by), tag or by, value, remaining)


def among_two() -> Driver:
    driver = Driver()
    driver.meet(2, 3)
    return driver


def set_here(
    driver: Driver, value: str | None, name: str = "r", seconds: float | None = None
) -> Register:
    made = driver.core.set_register(name, value, driver.now, seconds)
    driver.effects = driver.core.effects()
    return made


def held(driver: Driver) -> dict[str, str | None]:
    return {one.name: one.value for one in driver.core.registers(driver.now)}


def test_a_register_that_is_set_goes_to_every_member_at_once() -> None:
    driver = among_two()
    made = set_here(driver, "a")
    assert made == register("a", by=1)
    assert driver.sent(Register) == [(SOMEBODY, made), (ANOTHER, made)]
    assert driver.events(RegisterChanged) == [RegisterChanged("r", "a", None)]
    assert driver.core.registers(driver.now) == [made]


def test_the_counter_is_one_above_the_highest_seen_in_any_register() -> None:
    driver = among_two()
    driver.receive(2, register("a", counter=41, name="other"))
    assert set_here(driver, "b").counter == 42
    driver.receive(2, register(None, counter=99))
    assert set_here(driver, "c").counter == 100


def test_in_whatever_order_they_arrive_the_one_of_the_highest_rank_holds() -> None:
    claims = [
        register("lower counter", 1, by=3, tag=9),
        register("lower node", 2, by=2, tag=9),
        register("lower tag", 2, by=3, tag=3),
        register("highest", 2, by=3, tag=4),
    ]
    for order in itertools.permutations(claims):
        driver = among_two()
        for claim in order:
            driver.receive(2, claim)
        assert held(driver) == {"r": "highest"}


def test_what_is_late_by_minutes_changes_nothing_and_is_answered_with_what_holds() -> None:
    driver = among_two()
    new = register("new", 2)
    driver.receive(2, register("old"), new)
    driver.pass_time_answering(600.0, 2, 3)
    driver.receive(3, register("old"))
    assert driver.events(RegisterChanged) == []
    assert driver.sent(Register) == [(ANOTHER, new)]
    assert held(driver) == {"r": "new"}


def test_whoever_adopts_one_passes_it_on_to_a_few_others_once() -> None:
    driver = among_two()
    driver.meet(4, 5)
    driver.receive(2, register("a"))
    driver.pass_time_answering(60.0, 2, 3, 4, 5)
    assert driver.core.counters["registers_adopted"] == 1
    assert len(driver.sent(Register)) == limits.REGISTER_NEWS_PEERS
    driver.receive(3, register("a"))
    driver.pass_time_answering(60.0, 2, 3, 4, 5)
    assert driver.sent(Register) == []


def test_a_deleted_register_does_not_come_back() -> None:
    driver = among_two()
    old = register("a")
    driver.receive(2, old)
    gone = set_here(driver, None)
    assert gone.counter == 2
    assert driver.events(RegisterChanged) == [RegisterChanged("r", None, None)]
    assert driver.core.registers(driver.now) == []
    driver.receive(2, old)
    assert driver.core.registers(driver.now) == []
    assert driver.sent(Register) == [(SOMEBODY, gone)]
    assert driver.core.kept_registers(driver.now) == [gone]


def test_one_that_is_set_for_a_time_ends_by_itself_at_the_same_rank() -> None:
    driver = among_two()
    made = set_here(driver, "debug", seconds=60.0)
    assert driver.events(RegisterChanged) == [RegisterChanged("r", "debug", 60.0)]
    driver.pass_time_answering(20.0, 2, 3)
    assert driver.core.registers(driver.now) == [made._replace(remaining=40.0)]
    driver.pass_time_answering(39.9, 2, 3)
    assert held(driver) == {"r": "debug"}
    driver.pass_time_answering(0.1, 2, 3)
    assert driver.events(RegisterChanged) == [RegisterChanged("r", None, None)]
    driver.receive(2, made._replace(remaining=30.0))
    assert held(driver) == {}, "a slow clock elsewhere doesn't bring it back"
    assert set_here(driver, "info").counter == 2


def test_of_what_several_members_measured_the_least_is_left() -> None:
    driver = among_two()
    driver.receive(2, register("a", remaining=60.0))
    driver.receive(3, register("a", remaining=50.0))
    driver.receive(2, register("a", remaining=70.0))
    driver.pass_time_answering(50.0, 2, 3)
    assert held(driver) == {}
    driver.receive(2, register("b", 2, remaining=60.0))
    driver.receive(2, register(None, 2))
    driver.pass_time(0.0)
    assert held(driver) == {}


def test_one_that_is_set_for_no_time_is_deleted() -> None:
    driver = among_two()
    set_here(driver, "a")
    set_here(driver, "b", seconds=0.0)
    assert driver.events(RegisterChanged) == [RegisterChanged("r", None, None)]
    assert held(driver) == {}


def test_registers_outlive_a_restart_and_the_process_that_set_them() -> None:
    before = among_two()
    before.receive(2, register("a", 7), register("gone", 8, name="s"))
    set_here(before, None, "s")
    set_here(before, "debug", "level", seconds=60.0)
    kept = before.core.kept_registers(before.now)
    after = Driver()
    after.core.recall_registers(kept, after.now)
    after.effects = after.core.effects()
    assert held(after) == {"r": "a", "level": "debug"}
    assert RegisterChanged("level", "debug", 60.0) in after.events(RegisterChanged)
    assert set_here(after, "b").counter == 11, "above all that was seen before"
    after.meet(2)
    after.receive(2, register("old", 6), register("old", 8, name="s"))
    assert held(after) == {"r": "b", "level": "debug"}


def test_push_pulls_carry_registers_only_where_they_differ() -> None:
    driver = among_two()
    driver.receive(2, register("a"))
    exchange = driver.core._exchange
    mine, table = exchange._beside.digest(), exchange._digest()
    driver.receive_table(3, TableDigest(table, answer=False, beside=mine))
    assert driver.framed(Register) == []
    assert driver.framed(TableDigest) == [TableDigest(table, answer=True, beside=mine)]
    driver.receive_table(3, TableDigest(table, answer=False))
    assert driver.framed(Register) == [register("a")]


def test_what_is_left_of_their_time_makes_no_difference_to_a_push_pull() -> None:
    driver = among_two()
    driver.receive(2, register("a", remaining=60.0))
    before = driver.core._exchange._beside.digest()
    driver.pass_time_answering(70.0, 2, 3)
    assert held(driver) == {}
    assert driver.core._exchange._beside.digest() == before


def test_an_exchange_tells_both_sides() -> None:
    """The opener gets the acceptor's in the answer, and gives its own after it."""
    world = World(2, seed=3)
    world.form()
    world.network.cut([0], [1], ["udp"])
    world.network.cut([1], [0], ["udp"])
    first, second = world.nodes
    for node, name in ((first, "one"), (second, "two")):
        node.core.set_register(name, "x", node.now())
        node.flush()
    wanted = {"one": "x", "two": "x"}
    world.run_until(lambda: all(values(node) == wanted for node in world.nodes), within=90.0)


def values(node: Node) -> dict[str, str | None]:
    return {one.name: one.value for one in node.core.registers(node.now())}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_under_loss_all_members_and_newcomers_come_to_the_same(seed: int) -> None:
    world = World(8, seed, link=LOSSY)
    world.form()
    world.nodes[7].crash()
    rng = random.Random(seed)
    for _ in range(40):
        node = world.nodes[rng.randrange(7)]
        node.core.set_register(rng.choice("abc"), str(rng.random()), node.now())
        node.flush()
        world.run(rng.random() / 20)
    world.nodes[7].start()
    world.run_until(
        lambda: len({str(sorted(values(node).items())) for node in world.nodes}) == 1, within=120.0
    )
    assert len(values(world.nodes[7])) == 3


def test_two_who_set_one_at_once_agree_on_whose_it_is() -> None:
    world = World(5, seed=4)
    world.form()
    world.run(5.0)
    for number in (1, 3):
        node = world.nodes[number]
        node.core.set_register("r", f"by {number}", node.now())
    for node in world.nodes:
        node.flush()
    world.run(1.0)
    found = {values(node)["r"] for node in world.nodes}
    assert len(found) == 1


def test_data_planes_have_no_say() -> None:
    driver = among_two()
    record = alive(4)._replace(metadata=Metadata("n", "data_plane", "", "1.0", "", ""))
    driver.receive(4, record)
    driver.receive(4, register("a", by=4))
    driver.receive(2, register("a", by=4))
    assert held(driver) == {}
    assert driver.core.counters["registers_refused"] == 2
    driver.receive(4, register("b", by=2))
    assert held(driver) == {"r": "b"}, "they pass on what others set"


def test_strangers_are_not_heard() -> None:
    driver = among_two()
    driver.receive(9, register("a"))
    assert held(driver) == {}
    assert driver.core.counters["dropped_stranger"] == 1


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("", "a", None),
        ("n" * (limits.REGISTER_NAME_BYTES_MAX + 1), "a", None),
        ("r", "ü" * (limits.REGISTER_VALUE_BYTES_MAX // 2 + 1), None),
        ("r", "a", -1.0),
        ("r", "a", limits.REGISTER_SECONDS_MAX + 1),
        ("r", "a", float("nan")),
    ],
)
def test_what_can_not_be_set_is_refused(name: str, value: str, seconds: float | None) -> None:
    driver = among_two()
    with pytest.raises(ValueError, match="register '"):
        driver.core.set_register(name, value, driver.now, seconds)
    assert held(driver) == {}


def test_there_are_so_many_and_more_are_refused() -> None:
    driver = among_two()
    for number in range(limits.REGISTERS_MAX):
        set_here(driver, "a", f"r{number}")
    with pytest.raises(ValueError, match="1024 already"):
        set_here(driver, "a", "another")
    set_here(driver, "b", "r7")
    set_here(driver, None, "r8")
    set_here(driver, "a", "another")


def test_of_more_than_there_can_be_the_same_ones_stay_everywhere() -> None:
    claims = [
        register("a", number, name=f"r{number}") for number in range(1, limits.REGISTERS_MAX + 9)
    ]
    kept: list[list[Register]] = []
    for order in (claims, claims[::-1]):
        driver = among_two()
        for claim in order:
            driver.receive(2, claim)
        kept.append(driver.core.kept_registers(driver.now))
        assert driver.core.counters["registers_dropped"] == 8
    assert kept[0] == kept[1] == sorted(claims[8:])


def test_deleted_ones_are_remembered_within_a_bound() -> None:
    driver = among_two()
    for number in range(limits.REGISTERS_DELETED_MAX + 9):
        set_here(driver, None, f"r{number}")
    assert len(driver.core.kept_registers(driver.now)) == limits.REGISTERS_DELETED_MAX


@pytest.mark.parametrize(
    "fields",
    [
        ["", 1, OWNER, 2, "v", None],
        ["n" * 65, 1, OWNER, 2, "v", None],
        ["r", 0, OWNER, 2, "v", None],
        ["r", 1, b"short", 2, "v", None],
        ["r", 1, OWNER, -1, "v", None],
        ["r", 1, OWNER, 2, "v" * 513, None],
        ["r", 1, OWNER, 2, b"v", None],
        ["r", 1, OWNER, 2, "v", -1],
        ["r", 1, OWNER, 2, "v", 1.5],
        ["r", 1, OWNER, 2, "v", 366 * 86_400_000],
        ["r", 1, OWNER, 2, "v"],
    ],
)
def test_what_is_out_of_bounds_is_counted_and_changes_nothing(fields: list[object]) -> None:
    driver = among_two()
    packed: bytes = msgpack.packb(fields)
    part = bytes((95, 255)) + len(packed).to_bytes(4, "big") + packed
    driver.core.datagram_received(packet(2) + part, SOMEBODY, driver.now)
    assert driver.core.counters["messages_malformed"] == 1
    assert driver.core.kept_registers(driver.now) == []


def test_who_takes_no_part_any_more_can_not_tell_the_others() -> None:
    driver = among_two()
    driver.receive(2, verdict(1, Status.LEFT, limits.COUNTER_MAX))
    assert driver.events(ForcedOut)
    with pytest.raises(ValueError, match="no part"):
        driver.core.set_register("r", "a", driver.now)
    with pytest.raises(ValueError, match="no part"):
        driver.core.purge(Invalidation("entities", By.TAG, "a"), driver.now)
