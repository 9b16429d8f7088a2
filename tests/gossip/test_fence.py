"""The fence: who has a version, asked of everyone at once (DESIGN 4, point 8)."""

import pytest

from gossip import limits
from gossip.events import FenceAsked, FenceEnded
from gossip.fence import TooManyFences
from gossip.fence_questions import Answer
from gossip.member import Status
from gossip.messages.changes import Heartbeat
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, verdict

VERSION = (1, 7, 42)
SECONDS = 2.0
RETRY = 2.5 * PROFILE.repair_timeout


class Asker(Driver):
    """Node 1, which begins fences; its own application answers when it is told to."""

    def begin(self, seconds: float = SECONDS, *, own: Answer | None = "reached") -> int:
        number = self.core.fence(VERSION, seconds, self.now)
        self.effects = self.core.effects()
        if own is not None:
            self.own(own)
        return number

    def own(self, answer: Answer) -> None:
        """The own application answers; what was sent before stays to be looked at."""
        (asked,) = self.events(FenceAsked)
        self.core.fence_answered(asked.token, answer, self.now)
        self.effects += self.core.effects()

    def answer(self, sender: int, number: int, standing: Standing = Standing.REACHED) -> None:
        self.receive(sender, FenceAnswer(1, number, standing))

    def asked(self) -> list[int]:
        """Which nodes the last input sent the question to."""
        return [int(host.rpartition(".")[2]) for (host, _), _ in self.sent(FenceQuestion)]

    def ended(self) -> FenceEnded:
        (event,) = self.events(FenceEnded)
        return event


def with_members(*numbers: int) -> Asker:
    asker = Asker()
    asker.meet(*numbers)
    return asker


class Asked(Driver):
    """Node 1, which others' fences ask."""

    def ask(self, seconds: float = SECONDS, number: int = 5, *, by: int = 2) -> None:
        """Node 2 asks, by itself or another that passes it on."""
        self.receive(by, FenceQuestion(node_id(2), 2, number, VERSION, seconds))

    def answer(self, token: int, answer: Answer) -> None:
        self.core.fence_answered(token, answer, self.now)
        self.effects = self.core.effects()

    def told(self) -> list[Standing]:
        """What it has just told node 2 itself."""
        answers = self.sent(FenceAnswer)
        assert all(where == address(2) and answer.tag == 2 for where, answer in answers)
        return [answer.standing for _, answer in answers]


def asked_by(*numbers: int) -> Asked:
    asked = Asked()
    asked.meet(2, *numbers)
    return asked


# The asker


def test_a_node_that_is_alone_is_complete_once_it_has_it_itself() -> None:
    alone = Asker()
    number = alone.begin(own=None)
    assert alone.events(FenceEnded) == []
    assert alone.events(FenceAsked)[0][1:] == (VERSION, SECONDS)
    alone.own("reached")
    assert alone.ended() == FenceEnded(number, VERSION, ("node-1",), (), (), ())


def test_two_nodes_are_complete_with_the_other_ones_answer() -> None:
    pair = with_members(2)
    number = pair.begin()
    assert pair.asked() == [2]
    pair.answer(2, number)
    assert pair.ended() == FenceEnded(number, VERSION, ("node-1", "node-2"), (), (), ())
    pair.pass_time(SECONDS)
    assert pair.events(FenceEnded) == []


def test_the_asker_itself_may_be_the_last() -> None:
    pair = with_members(2)
    number = pair.begin(own=None)
    own = pair.events(FenceAsked)[0]
    pair.answer(2, number)
    assert pair.events(FenceEnded) == []
    pair.core.fence_answered(own.token, "reached", pair.now)
    pair.effects = pair.core.effects()
    assert pair.ended().reached == ("node-2", "node-1")


def test_who_has_not_answered_in_time_is_missing_if_it_was_heard_and_else_unreachable() -> None:
    asker = with_members(2, 3, 4)
    number = asker.begin(own=None)
    asker.answer(2, number)
    asker.answer(3, number, Standing.WAITING)
    asker.pass_time_answering(SECONDS - 0.001, 2, 3, 4)
    assert asker.events(FenceEnded) == []
    asker.pass_time_answering(0.002, 2, 3, 4)
    assert asker.ended()[2:] == (("node-2",), ("node-1", "node-3"), ("node-4",), ())


def test_silent_and_late_members_are_asked_again_with_backoff_and_shortly_before_the_end() -> None:
    asker = with_members(2, 3, 4)
    number = asker.begin()
    begun = asker.now
    asker.answer(2, number)
    asker.answer(3, number, Standing.WAITING)
    times: dict[int, list[float]] = {3: [], 4: []}
    while asker.now < begun + SECONDS:
        asker.pass_time_answering(0.005, 2, 3, 4)
        for member in asker.asked():
            times[member].append(asker.now - begun)
            assert address(member) in [where for where, _ in asker.sent(Heartbeat)]
        assert all(0 < one.seconds <= SECONDS for _, one in asker.sent(FenceQuestion))
    silent = [RETRY, 3 * RETRY, 7 * RETRY, 15 * RETRY, 31 * RETRY, SECONDS - RETRY]
    assert times[4] == pytest.approx(silent, abs=0.006)
    heard = [3 * RETRY, 15 * RETRY, SECONDS - RETRY]
    assert times[3] == pytest.approx(heard, abs=0.006), "every other time, and at the end"


def known_to_be_near(*numbers: int) -> Asker:
    """Round trips are measured, and next to nothing."""
    asker = with_members(*numbers)
    asker.pass_time_answering(4 * PROFILE.probe_interval, *numbers)
    assert asker.core._members.typical_rtt is not None
    return asker


def test_where_round_trips_are_known_the_silent_are_asked_again_once_answers_cease() -> None:
    asker = known_to_be_near(2, 3, 4, 5)
    number = asker.begin()
    for sender in (2, 3):
        asker.pass_time(0.008)
        assert asker.asked() == [], "answers still come"
        asker.answer(sender, number)
    asker.pass_time(0.009)
    assert asker.asked() == []
    asker.pass_time(0.002)
    assert sorted(asker.asked()) == [4, 5]
    asker.pass_time(0.017)
    assert asker.asked() == [], "then with backoff"
    asker.pass_time(0.004)
    assert sorted(asker.asked()) == [4, 5]


def test_answers_that_do_not_cease_put_off_the_first_round_for_so_long_only() -> None:
    numbers = range(2, 20)
    asker = known_to_be_near(*numbers)
    number, asked = asker.begin(), list[int]()
    for sender in numbers[:12]:
        asker.pass_time(RETRY / 12 + 0.0001)
        asked += asker.asked()
        asker.answer(sender, number)
    assert sorted(asked) == [*numbers[11:]]


def test_those_who_are_late_are_asked_each_second_of_a_long_fence() -> None:
    asker = with_members(2)
    asker.begin(limits.FENCE_SECONDS_MAX)
    asker.pass_time_answering(10.0, 2)
    asker.pass_time_answering(5.0, 2)
    assert 4 <= len(asker.asked()) <= 6


def test_an_answer_that_was_lost_is_made_up_by_the_next_one() -> None:
    asker = with_members(2)
    number = asker.begin()
    asker.pass_time(RETRY)
    assert asker.asked() == [2]
    asker.answer(2, number)
    assert asker.ended().reached == ("node-1", "node-2")


def test_doubled_late_and_strange_answers_change_nothing() -> None:
    asker = with_members(2, 3)
    number = asker.begin()
    asker.answer(2, number)
    asker.answer(2, number)
    asker.answer(2, number, Standing.FORKED)
    asker.answer(3, number + 1)
    asker.receive(3, FenceAnswer(99, number, Standing.REACHED))
    asker.receive(9, FenceAnswer(1, number, Standing.REACHED))
    assert asker.events(FenceEnded) == []
    assert asker.core.counters["fence_answers_unexpected"] == 4
    asker.answer(3, number)
    assert asker.ended().reached == ("node-1", "node-2", "node-3")
    asker.answer(3, number)
    assert asker.effects == []


def test_who_has_reached_it_does_not_wait_again() -> None:
    asker = with_members(2, 3)
    number = asker.begin()
    asker.answer(2, number)
    asker.answer(2, number, Standing.WAITING)
    asker.answer(3, number)
    assert asker.ended().missing == ()


def test_one_that_is_forked_ends_the_fence_at_once() -> None:
    asker = with_members(2, 3, 4)
    number = asker.begin()
    asker.answer(2, number)
    asker.answer(3, number, Standing.FORKED)
    reached, missing, unreachable, forked = asker.ended()[2:]
    assert (reached, forked) == (("node-1", "node-2"), ("node-3",))
    assert (missing, unreachable) == ((), ("node-4",))


def test_counted_are_alive_suspect_and_leaving_members_and_those_just_failed() -> None:
    asker = with_members(2, 3, 4, 5, 6)
    for number, status in (
        (3, Status.SUSPECT),
        (4, Status.FAILED),
        (5, Status.LEAVING),
        (6, Status.LEFT),
    ):
        accuser = number if status in (Status.LEAVING, Status.LEFT) else 2
        asker.receive(2, verdict(number, status, by=accuser))
    asker.begin()
    assert sorted(asker.asked()) == [2, 3, 4, 5]
    asker.pass_time_answering(limits.FENCE_FAILED_GRACE + 0.1, 2, 3)
    asker.begin()
    assert 4 not in asker.asked()


def test_those_who_join_and_die_meanwhile_do_not_change_who_counts() -> None:
    asker = with_members(2, 3)
    number = asker.begin()
    asker.meet(4)
    asker.receive(2, verdict(3, Status.FAILED, by=2))
    asker.answer(2, number)
    asker.answer(4, number)
    assert asker.events(FenceEnded) == []
    asker.pass_time_answering(SECONDS, 2, 4)
    assert asker.ended()[2:] == (("node-1", "node-2"), (), ("node-3",), ())


def test_a_later_life_of_a_member_answers_for_it() -> None:
    asker = with_members(2)
    number = asker.begin()
    asker.receive(2, alive(2, generation=2), FenceAnswer(1, number, Standing.REACHED))
    assert asker.ended().reached == ("node-1", "node-2")


def test_an_asker_that_leaves_goes_on_while_it_is_leaving_and_tells_all_before_it_is_gone() -> None:
    asker = with_members(2, 3)
    first, second = asker.begin(), asker.begin(30.0)
    asker.core.leave(asker.now)
    asker.answer(2, first)
    asker.answer(3, first)
    assert asker.ended().reached == ("node-1", "node-2", "node-3")
    asker.answer(2, second)
    asker.pass_time(5.0)
    assert asker.ended()[2:] == (("node-1", "node-2"), (), ("node-3",), ())
    with pytest.raises(ValueError, match="takes no part"):
        asker.core.fence(VERSION, SECONDS, asker.now)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), limits.FENCE_SECONDS_MAX + 0.1])
def test_the_time_is_bounded(seconds: float) -> None:
    with pytest.raises(ValueError, match="may be"):
        Asker().core.fence(VERSION, seconds, 100.0)


def test_fences_under_way_are_bounded_and_the_refusal_is_counted() -> None:
    asker = with_members(2)
    for _ in range(limits.FENCES_MAX):
        asker.core.fence(VERSION, SECONDS, asker.now)
    with pytest.raises(TooManyFences):
        asker.core.fence(VERSION, SECONDS, asker.now)
    assert asker.core.counters["fences_refused"] == 1
    asker.pass_time(SECONDS)
    assert len(asker.events(FenceEnded)) == limits.FENCES_MAX
    asker.begin()


# The asked


def test_the_application_is_asked_and_its_answer_goes_to_the_asker_whoever_passed_it_on() -> None:
    asked = asked_by(3)
    asked.ask(by=3)
    (event,) = asked.events(FenceAsked)
    assert event[1:] == (VERSION, SECONDS)
    assert asked.told() == []
    asked.answer(event.token, "reached")
    assert asked.told() == [Standing.REACHED]
    asked.pass_time(SECONDS)
    assert asked.told() == []


@pytest.mark.parametrize(
    ("answer", "standing"), [("reached", Standing.REACHED), ("forked", Standing.FORKED)]
)
def test_what_the_application_finds_out_later_is_told_then(
    answer: Answer, standing: Standing
) -> None:
    asked = asked_by()
    asked.ask()
    (event,) = asked.events(FenceAsked)
    asked.pass_time_answering(SECONDS / 2, 2)
    assert asked.told() == [Standing.WAITING], "told once, so that the asker knows it was heard"
    asked.answer(event.token, answer)
    assert asked.told() == [standing]


def test_a_doubled_question_is_told_to_wait_and_one_that_comes_after_the_answer_asks_anew() -> None:
    asked = asked_by()
    asked.ask()
    first = asked.events(FenceAsked)[0]
    asked.ask()
    assert (asked.events(FenceAsked), asked.told()) == ([], [Standing.WAITING])
    asked.answer(first.token, "reached")
    asked.ask()
    again = asked.events(FenceAsked)[0]
    asked.answer(again.token, "reached")
    assert asked.told() == [Standing.REACHED]
    asked.answer(first.token, "forked")
    assert asked.told() == []


def test_two_processes_of_one_asker_are_told_apart() -> None:
    asked = asked_by()
    asked.ask()
    asked.receive(2, FenceQuestion(node_id(2), 22, 5, VERSION, SECONDS))
    assert len(asked.events(FenceAsked)) == 1


def test_a_question_is_forgotten_when_nobody_waits_for_its_answer_any_more() -> None:
    asked = asked_by()
    asked.ask()
    (event,) = asked.events(FenceAsked)
    asked.pass_time_answering(SECONDS + 0.001, 2)
    assert asked.core._fences.held == 0
    asked.answer(event.token, "reached")
    assert asked.told() == []


def test_an_application_that_gives_up_says_at_least_that_it_was_heard() -> None:
    asked = asked_by()
    asked.ask()
    asked.answer(asked.events(FenceAsked)[0].token, "missing")
    assert asked.told() == [Standing.WAITING]


def test_questions_of_strangers_and_of_oneself_are_dropped() -> None:
    asked = asked_by()
    asked.receive(2, FenceQuestion(node_id(7), 7, 1, VERSION, SECONDS))
    asked.receive(2, FenceQuestion(node_id(1), 1, 1, VERSION, SECONDS))
    asked.receive(9, FenceQuestion(node_id(2), 2, 1, VERSION, SECONDS))
    assert asked.events(FenceAsked) == []
    assert asked.core.counters["fence_askers_unknown"] == 2
    assert asked.core.counters["dropped_stranger"] == 1


def test_questions_held_are_bounded_and_those_beyond_are_told_to_ask_again() -> None:
    asked = asked_by()
    for number in range(limits.FENCE_QUESTIONS_MAX):
        asked.ask(number=number)
    asked.ask(number=limits.FENCE_QUESTIONS_MAX)
    assert (asked.events(FenceAsked), asked.told()) == ([], [Standing.WAITING])
    assert asked.core.counters["fence_questions_dropped"] == 1
    assert asked.core._fences.held == limits.FENCE_QUESTIONS_MAX
    asked.pass_time(SECONDS + 0.001)
    asked.ask(number=limits.FENCE_QUESTIONS_MAX)
    assert len(asked.events(FenceAsked)) == 1


# Whole clusters


def fence_at(world: World, index: int, seconds: float = 5.0) -> None:
    """Commit there, and wait for all."""
    world.commit(index, b"body")
    world.nodes[index].application.fences.begin(world.authority.head().version, seconds)


def outcomes(world: World) -> list[FenceEnded]:
    return [seen.event for seen in world.observed if isinstance(seen.event, FenceEnded)]


@pytest.mark.parametrize("nodes", [3, 20, limits.DIRECT_MEMBERS_MAX + 16])
def test_a_fence_takes_a_round_trip_however_many_there_are(nodes: int) -> None:
    world = World(nodes, seed=1, link=Link(latency=0.000_5, jitter=0.000_1))
    world.begin_formed()
    world.run(0.5)
    fence_at(world, nodes - 1)
    workers = 0.05  # so long the played workers of some nodes take
    took = world.run_until(lambda: bool(outcomes(world)), within=1.0)
    assert took < workers + 0.01
    (outcome,) = outcomes(world)
    assert (len(outcome.reached), outcome.missing, outcome.unreachable) == (nodes, (), ())


@pytest.mark.parametrize("nodes", [3, limits.DIRECT_MEMBERS_MAX + 16])
def test_lost_and_doubled_packets_delay_a_fence_and_nothing_else(nodes: int) -> None:
    world = World(nodes, seed=2, link=Link(loss=0.2, duplication=0.2, jitter=0.001))
    world.begin_formed()
    world.run(0.5)
    for turn in range(3):
        fence_at(world, turn % nodes)
        world.run_until(lambda: len(outcomes(world)) == turn + 1, within=5.1)  # noqa: B023
    assert [len(outcome.reached) for outcome in outcomes(world)] == 3 * [nodes]
    assert sum(node.core.counters["fence_questions_again"] for node in world.nodes) > 0


def test_a_lost_change_is_noticed_by_the_question_for_it() -> None:
    world = World(2, seed=3)
    world.begin_formed()
    world.run(0.5)
    world.network.partition([0], [1])
    world.commit(0, b"body")
    world.network.heal()
    world.nodes[0].application.fences.begin(world.authority.head().version, 5.0)
    world.run_until(lambda: bool(outcomes(world)), within=1.0)
    assert outcomes(world)[0].reached == ("node-0", "node-1")
    assert world.nodes[0].core.counters["fence_questions_again"] == 0
