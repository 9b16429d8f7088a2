"""When a node serves that can't reach the authority, and what it takes to know."""

import asyncio
import random
from typing import cast

from node.agent.authority_link import AuthorityLink
from node.agent.following import Following
from node.agent.membership import Membership
from node.agent.serving import Serving
from store.authority import State
from store.poll import Poll
from store.replica import Replica
from store.version import Head, Version


class Away:
    reachable = False


class Peers:
    """They hold this version."""

    newest = Version(1, 7, 5)
    looks = 0

    def newest_head(self) -> Version:
        self.looks += 1
        return self.newest


def hold(replica: Replica, revision: int) -> None:
    replica.load(State(Head(Version(1, 7, revision), bytes(32)), ()))


async def test_a_node_that_catches_up_looks_at_its_peers_once_in_a_turn_and_then_serves() -> None:
    replica, peers, served = Replica("a"), Peers(), list[bool]()
    following = Following(
        cast("AuthorityLink", Away()),
        Serving(replica, lambda *_: None, lambda: None),
        cast("Membership", peers),
        Poll(5.0, random.Random(1)),
        random.Random(1),
        lambda: served.append(True),
    )
    for revision in range(1, 5):
        hold(replica, revision)
        following.moved()
    await asyncio.sleep(0)
    assert peers.looks == 1
    assert not served
    hold(replica, 5)
    following.moved()
    await asyncio.sleep(0)
    assert served == [True]
    following.moved()
    await asyncio.sleep(0)
    assert peers.looks == 2, "what is served isn't asked for any more"
