"""A server that goes silent: connections to it are given up without a word in the log."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from node.demo.local_postgres import LocalPostgres
from store.errors import AuthorityUnavailable
from store.postgres import PostgresAuthority
from tests.postgres_server import PostgresDatabases

TIMEOUT_SECONDS = 0.3


@contextlib.contextmanager
def silent(server: LocalPostgres) -> Iterator[None]:
    """While the block runs, none of the server's processes does anything."""
    pids = server.children()
    first = int((server.data / "postmaster.pid").read_text().split()[0])
    for pid in (first, *pids):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in (first, *pids):
            os.kill(pid, signal.SIGCONT)


async def test_closing_a_connection_that_gets_no_answer_is_no_surprise(
    own_postgres: LocalPostgres,
) -> None:
    """The pool closes what it has expired in tasks that nobody awaits."""
    address = await PostgresDatabases(own_postgres.address()).create()
    authority = PostgresAuthority(replace(address, timeout=TIMEOUT_SECONDS))
    surprises: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: surprises.append(context))
    await authority.open()
    try:
        await asyncio.gather(*(authority.head() for _ in range(4)))
        before = asyncio.all_tasks()
        with silent(own_postgres):
            for _ in range(2):
                with pytest.raises(AuthorityUnavailable):
                    await authority.head()
            closing = asyncio.all_tasks() - before
            assert closing, "nothing is being closed: this test shows nothing"
            await asyncio.wait(closing)
        del closing
        gc.collect()
    finally:
        await authority.close()
    assert surprises == []
