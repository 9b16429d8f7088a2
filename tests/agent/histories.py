"""What a test needs of the judgement of histories when there is nothing to judge."""

import asyncio
import random

from node.agent.histories import Histories
from store.authority import Authority
from store.replica import Replica
from store.version import EMPTY


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
