"""What a node does about a replica that isn't as it should be, and what it says meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from gossip.events import Behind, StateDiffers
from node.agent.authority_link import AuthorityLink, CantFollow
from node.agent.membership import Membership
from node.agent.repairing import Repairing
from node.agent.serving import Serving
from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.errors import AuthorityUnavailable
from store.replica import Replica
from store.version import Head, Version


def state(revision: int, *names: str) -> State:
    entities = tuple(Change("services", name, "{}") for name in names)
    return State(Head(Version(1, 7, revision), bytes([revision]) * 32), entities)


def following(head: Head, change: Change) -> Changeset:
    body = encode_body(Body(bytes(16), 1.0, "n", (change,)))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


class Link:
    """The authority as the test plays it."""

    def __init__(self, serving: Serving) -> None:
        self.reachable = True
        self.answer: State | Exception = AuthorityUnavailable("away")
        self.asked = 0
        self._serving = serving

    async def verify(self) -> bool:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return await self._serving.verify(self.answer)

    async def reload(self) -> bool:
        assert isinstance(self.answer, State)
        return await self._serving.load(self.answer, anew=True) is not None


class Peers:
    """Membership as far as it is asked for states."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        """For each time whether what is held is damaged."""
        self.can_help = True
        self.confirmed = 0

    def state_confirmed(self) -> None:
        self.confirmed += 1

    def fetch_snapshot(self, *, damaged: bool = False) -> bool:
        self.asked.append(damaged)
        return self.can_help


class Node:
    def __init__(self) -> None:
        self.serving = Serving(Replica("a"), lambda *_: None, lambda: None)
        self.serving.replica.load(state(5, "a", "b"))
        self.link = Link(self.serving)
        self.peers = Peers()
        self.looks: list[None] = []
        self.repairing = Repairing(
            cast("AuthorityLink", self.link),
            self.serving,
            cast("Membership", self.peers),
            lambda: self.looks.append(None),
        )

    def differs(self, verdict: str) -> None:
        self.repairing.differs(StateDiffers((1, 7, 5), "m", verdict))  # type: ignore[arg-type]

    async def compared(self) -> None:
        task = self.repairing._verifying
        assert task is not None
        await task

    def held(self) -> list[str]:
        return [change.id for change in self.serving.replica.changes()]


@pytest.fixture
def node() -> Node:
    return Node()


async def test_what_logs_do_not_lead_to_is_read_at_the_authority_or_a_peer(node: Node) -> None:
    node.repairing.behind(Behind((1, 7, 9), "log"))
    assert (len(node.looks), node.peers.asked) == (1, [])
    node.link.reachable = False
    node.repairing.behind(Behind((1, 7, 9), "log"))
    assert (len(node.looks), node.peers.asked) == (1, [False])
    assert node.repairing.problem == ""


async def test_a_changeset_that_can_not_be_applied_is_said_until_it_is_behind_us(
    node: Node,
) -> None:
    node.repairing.behind(Behind((1, 7, 6), "poison"))
    assert node.repairing.problem == "changeset 1.6 can't be applied here"
    assert node.peers.asked == [False]
    assert node.looks == [], "the authority's state isn't read for that"
    node.repairing.moved()
    assert node.repairing.problem
    node.serving.replica.load(state(7, "a"))
    node.repairing.installed()
    assert node.repairing.problem == ""


async def test_a_damaged_replica_is_replaced_by_a_peer_though_the_authority_is_there(
    node: Node,
) -> None:
    node.differs("damaged")
    assert node.peers.asked == [True]
    assert node.link.asked == 0
    assert "damaged" in node.repairing.problem
    node.repairing.moved()
    assert "damaged" in node.repairing.problem, "changesets don't mend it"
    node.repairing.installed()
    assert node.repairing.problem == ""


@pytest.mark.parametrize("helped", [True, False])
async def test_where_no_peer_can_help_the_authority_does(node: Node, helped: bool) -> None:
    node.link.answer = state(5, "a", "c")
    node.peers.can_help = helped
    node.differs("damaged")
    if helped:
        node.repairing.failed("corrupt")
    await node.compared()
    assert node.held() == ["a", "c"]
    assert node.repairing.problem == ""


async def test_the_authority_says_who_is_right(node: Node) -> None:
    for verdict in ("outvoted", "undecided"):
        node.link.answer = state(5, "a", "b")
        node.differs(verdict)
        await node.compared()
        assert node.held() == ["a", "b"]
    node.link.answer = state(5, "x")
    node.differs("undecided")
    await node.compared()
    assert node.held() == ["x"]
    assert node.peers.asked == []
    assert node.link.asked == node.peers.confirmed == 3


async def test_with_the_authority_away_the_majority_is_right(node: Node) -> None:
    node.link.reachable = False
    node.differs("undecided")
    assert node.peers.asked == []
    assert "isn't known whose" in node.repairing.problem
    node.differs("outvoted")
    assert node.peers.asked == [True]


async def test_what_the_authority_can_not_say_is_no_end(node: Node) -> None:
    node.differs("undecided")
    await node.compared()
    node.link.answer = CantFollow("it can't be read")
    node.differs("undecided")
    await node.compared()
    assert node.repairing.problem == "it can't be read"
    assert node.held() == ["a", "b"]


async def test_whoever_waits_for_peers_is_told_what_came_of_it(node: Node) -> None:
    for outcome in (True, False):
        waiting = asyncio.create_task(node.repairing.from_peers())
        await asyncio.sleep(0)
        if outcome:
            node.repairing.installed()
        else:
            node.repairing.failed("silent")
        assert await waiting is outcome
    node.peers.can_help = False
    assert not await node.repairing.from_peers()


async def verified(node: Node, answer: State) -> Sequence[object]:
    return await node.serving.verify(answer), node.serving.version.revision, node.held()


async def test_a_state_is_compared_at_its_own_version(node: Node) -> None:
    at_five = node.serving.head()
    assert node.serving.offer(*following(at_five, Change("services", "c", "{}"))) == "applied"
    assert await verified(node, State(at_five, state(5, "a", "b").entities)) == (
        True, 6, ["a", "b", "c"],
    )  # fmt: skip
    assert await verified(node, State(at_five, state(5, "a", "x").entities)) == (
        False, 6, ["a", "c", "x"],
    )  # fmt: skip
    assert await verified(node, state(4, "y")) == (True, 6, ["a", "c", "x"]), "forgotten"
    assert await verified(node, state(9, "z")) == (True, 6, ["a", "c", "x"]), "not yet known"
