"""Whatever arrives, the core neither raises nor believes what its rules forbid."""

import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.events import KeyUnknown
from gossip.limits import PACKET_BYTES_MAX
from gossip.member import Status
from gossip.messages import Message
from gossip.messages.changes import (
    Announce,
    Fetch,
    Heartbeat,
    Missing,
    NoSlice,
    Push,
    Request,
    Slice,
)
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.messages.membership import (
    Ack,
    Check,
    Checked,
    Identified,
    Identify,
    Outcome,
    Parting,
    Ping,
    Unwatch,
    Watch,
)
from gossip.replica import Changeset, Head
from tests.gossip.drive import Driver, address, alive, packet, verdict
from tests.gossip.hostile import Insider, Outsider, Tapped, Victim, cluster, just_started, living
from tests.rings import first_few

HEAD = Head((1, 1, 7), b"d" * 32)
MESSAGES: list[Message] = [
    Ping(1),
    Ack(1),
    alive(2, incarnation=3),
    alive(4),
    verdict(3, Status.SUSPECT),
    verdict(2, Status.FAILED),
    Heartbeat.of(HEAD, 1.0),
    Push(Changeset(HEAD.version, bytes(32), HEAD.digest, b"body"), 0.1, 1),
    Request(HEAD),
    Missing(HEAD),
    Announce(HEAD),
    Fetch(0),
    Slice(HEAD, 0, b"slice", True),
    NoSlice(0),
    Identify(1, 2, 9, address(4)),
    Identified(1, 2, 9),
    Watch(),
    Unwatch(Parting.MOVED),
    Check(alive(2).node_id, 1),
    Checked(alive(2).node_id, 1, Outcome.REFUSED),
    FenceQuestion(alive(2).node_id, 2, 1, HEAD.version, 2.0),
    FenceAnswer(1, 1, Standing.REACHED),
]
FUZZ = settings(max_examples=200, deadline=None)


def deliver(driver: Driver, data: bytes) -> None:
    """As a packet and as a frame; then let time pass."""
    driver.core.datagram_received(data, address(9), driver.now)
    driver.core.stream_accepted(1, address(9), driver.now)
    driver.core.frame_received(1, data, driver.now)
    driver.core.stream_closed(1, driver.now)
    driver.pass_time(0.01)


def table(driver: Driver) -> list[tuple[str, str, int, int]]:
    members = driver.core.members(driver.now)
    return [(m.id, m.status, m.generation, m.incarnation) for m in members]


@FUZZ
@given(st.binary(max_size=2 * PACKET_BYTES_MAX))
def test_random_bytes_are_counted_and_change_nothing(data: bytes) -> None:
    driver = Driver()
    driver.meet(2, 3)
    before = table(driver)
    deliver(driver, data)
    assert table(driver) == before
    refusals = ("dropped_garbage", "dropped_version", "dropped_oversized", "dropped_cluster")
    assert sum(driver.core.counters[name] for name in refusals) >= 1


@FUZZ
@given(st.lists(st.sampled_from(MESSAGES), min_size=1), st.integers(0), st.integers(1))
def test_truncated_and_mutated_packets_never_raise(
    messages: list[Message], seed: int, mutations: int
) -> None:
    rng = random.Random(seed)
    data = bytearray(packet(rng.choice([2, 8]), *messages))
    for _ in range(mutations % 8):
        data[rng.randrange(len(data))] = rng.randrange(256)
    driver = Driver()
    driver.meet(2, 3)
    before = {row[0]: row[2:] for row in table(driver)}
    deliver(driver, bytes(data[: rng.randint(1, len(data))]))
    for member_id, _, *precedence in table(driver):
        assert tuple(precedence) >= before.get(member_id, (0, 0)), "no record moves backwards"


claims = st.builds(
    lambda number, status, incarnation, generation, by: (
        alive(number, incarnation, generation)
        if status is Status.ALIVE
        else verdict(number, status, incarnation, generation, by=by)
    ),
    st.integers(1, 4),
    st.sampled_from(Status),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(2, 6),
)


@FUZZ
@given(st.lists(claims, max_size=12), st.randoms(use_true_random=False))
def test_claims_lead_to_one_table_in_any_order_and_number(
    told: list[Message], shuffler: random.Random
) -> None:
    # Tables agree on whoever was known before the claims came; verdicts about others depend on
    # whether the record came first, and about later generations likewise.
    told = [claim for claim in told if getattr(claim, "generation", 1) == 1]
    told = [claim for claim in told if getattr(claim, "node_id", "")[-1] in "23"]
    again = [*told, *told]
    shuffler.shuffle(again)
    first, second = Driver(), Driver()
    for driver, order in ((first, told), (second, again)):
        driver.meet(2, 3)
        for claim in order:
            driver.receive(2, claim)
    assert table(first) == table(second)


programs = st.binary(max_size=400)
STARTS = pytest.mark.parametrize("start", first_few([just_started, living]))


@functools.cache
def recorded() -> Tapped:
    return cluster()


@STARTS
@FUZZ
@given(programs)
def test_nobody_without_the_key_changes_anything(start: object, program: bytes) -> None:
    world = recorded() if start is just_started else cluster()
    victim = start(world)  # type: ignore[operator]
    before = (victim.table(), victim.core.keyring, victim.core.counters["salts_admitted"])
    Outsider(victim, world.tape).attack(program)
    assert before == (victim.table(), victim.core.keyring, victim.core.counters["salts_admitted"])
    assert [event for event in victim.events if not isinstance(event, KeyUnknown)] == []


def test_nothing_of_a_whole_recording_is_read_in_any_order() -> None:
    world = recorded()
    tape = [(kind, data) for kind, node, data in world.tape if node == 0]
    for seed in range(5):
        victim = just_started(world)
        before = victim.table()
        random.Random(seed).shuffle(tape)
        for _, data in tape:
            victim.packet(data)
            stream = victim.accept()
            victim.frame(stream, data)
            victim.close(stream)
            victim.now += 0.01
        assert victim.table() == before
        assert victim.core.counters["salts_admitted"] == 0
        victim.assert_bounded()


@STARTS
@FUZZ
@given(programs)
def test_whoever_has_the_key_but_breaks_the_rules_crashes_nothing(
    start: object, program: bytes
) -> None:
    world = recorded() if start is just_started else cluster()
    victim: Victim = start(world)  # type: ignore[operator]
    before = {row[0]: row[2:] for row in victim.table()}
    Insider(victim, world, MESSAGES).attack(program)
    for member_id, _, *precedence in victim.table():
        assert tuple(precedence) >= before.get(member_id, (0, 0)), "no record moves backwards"


@pytest.mark.parametrize("step", [b"\x03", b"\x04"], ids=["stream", "packet"])
def test_the_insider_is_heard(step: bytes) -> None:
    """Or the test above would show nothing."""
    victim = just_started(recorded())
    Insider(victim, recorded(), MESSAGES).attack(step)
    assert victim.core.counters["salts_admitted"] == 1
    assert [status for _, status, *_ in victim.table()] == ["alive", "alive"]
