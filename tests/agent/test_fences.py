"""Fences between a node's workers and gossip: what it answers, and what comes of its own."""

import asyncio
import random
from typing import cast

import pytest

from gossip.core import Gossip
from gossip.effects import Notify
from gossip.events import FenceAsked, FenceEnded
from gossip.fence_questions import Answer
from gossip.identity import Identity
from gossip.profiles import LAN
from node.admin.node_view import Fenced
from node.agent import fences
from node.agent.fences import Fences
from node.agent.membership import Membership
from node.named_version import NamedVersion, parse_named
from simulations.authority import LogReplica
from store.authority import State
from store.history import Epoch
from store.version import Head, Version
from tests.agent.test_workers import Node, version
from tests.gossip.drive import address, metadata, node_id

SOON = 0.02


class Played:
    """A membership of which the test plays everybody else."""

    def __init__(self) -> None:
        self.begun: list[tuple[Version, float]] = []
        self.answers: list[tuple[int, Answer]] = []
        self.takes_part = True
        self.ends: FenceEnded | None = None
        """What comes of the next fence, with its number left out, when it is flushed."""
        self.fences: Fences | None = None

    def begin_fence(self, version: Version, seconds: float) -> int | None:
        self.begun.append((version, seconds))
        return len(self.begun) if self.takes_part else None

    def answer_fence(self, token: int, answer: Answer) -> None:
        self.answers.append((token, answer))

    def flush(self) -> None:
        if self.ends is not None and self.fences is not None:
            self.fences.ended(self.ends._replace(number=len(self.begun)))

    def members(self) -> list[dict[str, str]]:
        return [
            {"name": "gw1", "status": "alive"},
            {"name": "gw2", "status": "suspect"},
            {"name": "gw3", "status": "failed"},
        ]


class Fencing:
    """The fences of a node whose workers are played, too."""

    def __init__(self) -> None:
        self.node = Node()
        self.membership = Played()
        self.fences = Fences(
            cast("Membership", self.membership), self.node.serving, self.node.workers
        )
        self.membership.fences = self.fences

    def ask(self, token: int, wanted: Version, seconds: float = 30.0) -> None:
        self.fences.asked(FenceAsked(token, wanted, seconds))

    @property
    def answers(self) -> list[tuple[int, Answer]]:
        return self.membership.answers


@pytest.fixture
async def fencing() -> Fencing:
    return Fencing()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def ended(
    *reached: str,
    missing: tuple[str, ...] = (),
    unreachable: tuple[str, ...] = (),
    forked: tuple[str, ...] = (),
) -> FenceEnded:
    return FenceEnded(0, version(1), reached, missing, unreachable, forked)


async def test_what_all_workers_have_is_answered_at_once(fencing: Fencing) -> None:
    await fencing.node.worker()
    fencing.ask(7, version(1))
    assert fencing.answers == [(7, "reached")]


async def test_a_late_worker_is_waited_for(fencing: Fencing) -> None:
    first, second = await fencing.node.worker(), await fencing.node.worker()
    fencing.node.commit()
    fencing.ask(7, version(2))
    first.applies(2)
    await turns()
    assert fencing.answers == []
    second.applies(2)
    await turns()
    assert fencing.answers == [(7, "reached")]


async def test_missing_is_said_when_the_time_is_over_and_forked_at_once(fencing: Fencing) -> None:
    fencing.ask(7, version(2), SOON)
    await turns()
    assert fencing.answers == []
    await asyncio.gather(*fencing.fences._answering)
    assert fencing.answers == [(7, "missing")]
    fencing.node.serving.forked = version(2)
    fencing.ask(8, version(2))
    assert fencing.answers[1:] == [(8, "forked")]


async def test_a_node_without_workers_answers_from_its_agent(fencing: Fencing) -> None:
    fencing.ask(7, version(1))
    fencing.ask(8, version(2))
    fencing.node.commit()
    await turns()
    assert fencing.answers == [(7, "reached"), (8, "reached")]


@pytest.mark.parametrize(
    ("outcome", "fenced"),
    [
        (ended("a", "b"), Fenced("complete", 2, (), ())),
        (
            ended("a", missing=("b",), unreachable=("c", "d")),
            Fenced("partial", 4, ("b",), ("c", "d")),
        ),
        (ended("a", unreachable=("c",), forked=("b",)), Fenced("forked", 3, (), ("c",))),
    ],
)
async def test_what_gossip_found_out_is_the_outcome_however_soon_it_comes(
    fencing: Fencing, outcome: FenceEnded, fenced: Fenced
) -> None:
    fencing.membership.ends = outcome
    assert await fencing.fences.fence(NamedVersion.of(version(1)), 2.0) == fenced
    ((asked, seconds),) = fencing.membership.begun
    assert asked == version(1)
    assert 1.0 < seconds <= 2.0
    assert not fencing.fences._outcomes


async def test_outcomes_of_others_end_nothing(fencing: Fencing) -> None:
    waiting = asyncio.create_task(fencing.fences.fence(NamedVersion.of(version(1)), 2.0))
    await turns()
    fencing.fences.ended(ended("a")._replace(number=99))
    await turns()
    assert not waiting.done()
    fencing.fences.ended(ended("a")._replace(number=1))
    assert (await waiting).outcome == "complete"


async def test_who_takes_no_part_can_say_nothing_of_anybody(fencing: Fencing) -> None:
    fencing.membership.takes_part = False
    assert await fencing.fences.fence(NamedVersion.of(version(1)), 2.0) == (
        Fenced("partial", 0, (), ())
    )


async def test_nobody_is_known_to_have_it_when_gossip_ends_meanwhile(
    fencing: Fencing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fences, "FENCE_GUARD_SECONDS", SOON)
    fenced = await fencing.fences.fence(NamedVersion.of(version(1)), SOON)
    assert fenced == Fenced("partial", 2, ["gw1", "gw2"], ())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.9", (1, 7, 9)),
        ("1.9-00000000", (1, 7, 9)),
        ("1.9-0000000000000007", (1, 7, 9)),
        ("1.9-0000000000000008", (1, 8, 9)),
        ("1.9-0000000a", (1, 0xA << 32, 9)),
        ("2.9-0000000000000008", (2, 8, 9)),
    ],
)
async def test_a_tag_that_is_not_given_is_that_of_the_history_that_is_served(
    fencing: Fencing, text: str, meant: tuple[int, int, int]
) -> None:
    fencing.membership.ends = ended("a")
    await fencing.fences.fence(parse_named(text), 2.0)
    assert fencing.membership.begun[0][0] == meant


async def test_the_tag_of_an_earlier_epoch_is_that_of_the_line_that_led_here(
    fencing: Fencing, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, nowhere = Head(version(40, 1, 7), bytes(32)), Head(version(50, 1, 6), bytes(32))
    raised = Epoch(2, 8, 40, kept, nowhere, 0.0, "n")
    replica = fencing.node.serving.replica
    replica.load(State(Head(version(41, 2, 8), bytes(32)), ()))
    monkeypatch.setattr(replica, "epochs", lambda: [raised])
    fencing.membership.ends = ended("a")
    for text in ("1.9", "2.9", "1.9-ffffffff"):
        await fencing.fences.fence(parse_named(text), 2.0)
    meant = [asked for asked, _ in fencing.membership.begun]
    assert meant == [(1, 7, 9), (2, 8, 9), (1, 0xFFFFFFFF << 32, 9)]


async def test_an_epoch_that_nobody_here_knows_is_waited_for(fencing: Fencing) -> None:
    fencing.membership.ends = ended("a")
    waiting = asyncio.create_task(fencing.fences.fence(parse_named("2.3"), 30.0))
    await turns()
    assert fencing.membership.begun == []
    fencing.node.commit()
    fencing.fences.moved()
    await turns()
    assert not waiting.done()
    fencing.node.serving.replica.load(State(Head(version(3, 2, 8), bytes(32)), ()))
    fencing.fences.moved()
    assert (await waiting).outcome == "complete"
    assert fencing.membership.begun[0][0] == (2, 8, 3)


async def test_one_that_does_not_come_is_missing_everywhere(fencing: Fencing) -> None:
    fenced = await fencing.fences.fence(parse_named("2.3"), SOON)
    assert fenced == Fenced("partial", 2, ["gw1", "gw2"], ())


async def test_gossip_and_workers_together_are_a_fence_of_one(fencing: Fencing) -> None:
    """The real core, without a network: a node that is alone."""
    core = Gossip(
        Identity(node_id(1), 1, 1), metadata("gw1"), address(1), "test", LAN, LogReplica(),
        random.Random(1), 0.0,
    )  # fmt: skip

    class Alone(Played):
        def begin_fence(self, version: Version, seconds: float) -> int | None:
            return core.fence(version, seconds, 0.0)

        def answer_fence(self, token: int, answer: Answer) -> None:
            core.fence_answered(token, answer, 0.0)

        def flush(self) -> None:
            while effects := core.effects():
                for effect in effects:
                    if isinstance(effect, Notify) and isinstance(effect.event, FenceAsked):
                        joined.asked(effect.event)
                    elif isinstance(effect, Notify) and isinstance(effect.event, FenceEnded):
                        joined.ended(effect.event)

    joined = Fences(cast("Membership", Alone()), fencing.node.serving, fencing.node.workers)
    assert await joined.fence(parse_named("1.1"), 5.0) == Fenced("complete", 1, (), ())
