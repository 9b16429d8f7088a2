"""A client's write whose client doesn't wait for it."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any, cast

from node.agent.authority_link import AuthorityLink
from node.agent.commits import Commits
from node.agent.workers import Workers
from store.authority import Committed, Create, Mutation
from store.errors import AuthorityUnavailable


class Away:
    """Fails once it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.fails = asyncio.Event()
        self.failed = False

    async def commit(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        self.asked.set()
        await self.fails.wait()
        self.failed = True
        raise AuthorityUnavailable("gone")


async def test_a_write_that_fails_after_its_client_has_gone_is_no_surprise() -> None:
    surprises: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: surprises.append(told))
    away = Away()
    commits = Commits(cast(AuthorityLink, away), cast(Workers, None), off=False)
    client = asyncio.ensure_future(commits.commit([Create("services", {"host": "h"})], None))
    await away.asked.wait()
    client.cancel()
    await asyncio.wait((client,))
    away.fails.set()
    while not away.failed:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert surprises == []
