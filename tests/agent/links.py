"""A tie to an authority, with what a test needs of the rest of a node."""

import asyncio
import random
from collections.abc import Callable, Sequence

from node.agent.authority_link import AuthorityLink
from node.agent.histories import Histories
from node.agent.serving import Serving
from store.authority import Authority
from store.changeset import Changeset
from store.replica import Replica
from store.version import EMPTY, Head


class Nobody:
    """No other node runs. Satisfies node.agent.authority_link.Others."""

    def __init__(self) -> None:
        self.early: list[Changeset] = []
        """What was committed here and could not be served yet."""
        self.heads: list[Head] = []
        """What the authority has shown."""
        self.pauses: list[float] = []
        """How long each write waits; the last one for ever."""

    def committed(self, early: Sequence[Changeset], shown: Head | None = None) -> None:
        self.early.extend(early)
        if shown is not None:
            self.confirmed(shown)

    def confirmed(self, head: Head) -> None:
        self.heads.append(head)

    def running_count(self) -> int:
        return 1

    def confirmation_age(self) -> float:
        return 0.0

    def write_pause(self) -> float:
        return self.pauses.pop(0) if self.pauses else 0.0


def link_to(
    authority: Authority,
    serving: Serving,
    others: Nobody,
    lost: Callable[[], None] = lambda: None,
) -> AuthorityLink:
    """Of node ``n``."""
    return AuthorityLink(
        authority,
        serving,
        idle_histories(authority),
        others,
        lambda: "n",
        lambda _: None,
        lost,
        lambda: "",
        random.Random(1),
        1.0,
    )


def idle_histories(authority: Authority) -> Histories:
    """That nothing is asked of."""
    return Histories(
        authority,
        lambda: "n",
        lambda: EMPTY,
        Replica("a"),
        asyncio.Event().wait,
        lambda *_: (),
        lambda *_: None,
        lambda: 1,
        lambda _: None,
        lambda _: None,
        random.Random(1),
    )
