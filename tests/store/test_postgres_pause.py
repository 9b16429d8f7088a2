"""A node that is stopped in mid-transaction: the others wait no longer than the time-outs say."""

import asyncio
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from simulations.real.postgres import fetch
from store.authority import Committed, Create
from store.errors import AuthorityUnavailable
from store.limits import IDLE_IN_TRANSACTION_SECONDS_MAX, LOCK_SECONDS_MAX
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress
from tests.postgres_server import dsn_of
from tests.store.history import check_history

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 1.0
"""The others' pg_timeout, below the time for which the stopped one keeps its locks."""

REASONS = (
    "another transaction holds what this one needs",
    "no answer in 1 s",
    "other writes of this node kept it waiting",
)

MARGIN_SECONDS = 3.0
"""What a busy machine adds to the time-outs."""

HOLDS_THE_HEAD = """
    SELECT count(*) > 0 FROM pg_stat_activity a JOIN pg_locks l USING (pid)
    WHERE a.datname = current_database() AND a.state = 'idle in transaction'
    AND l.relation = 'grapevine.head'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
"""


async def stop_in_mid_transaction(
    writer: asyncio.subprocess.Process, database: PostgresAddress
) -> None:
    """SIGSTOP the process while its transaction holds what every writer needs."""
    async with asyncio.timeout(30):
        while True:
            writer.send_signal(signal.SIGSTOP)
            for _ in range(3):  # a statement under way when it was stopped may yet end
                if (await fetch(database, HOLDS_THE_HEAD))[0][0]:
                    return
            writer.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.001)


async def wrote(authority: PostgresAuthority) -> bool:
    """Whether three writes at once succeeded; those that didn't were told why, soon."""
    asked_at = time.monotonic()
    outcomes = await asyncio.gather(
        *(authority.write([Create("services", {"host": "h"})], origin="") for _ in range(3)),
        return_exceptions=True,
    )
    failed = [str(item) for item in outcomes if isinstance(item, AuthorityUnavailable)]
    assert len(failed) + sum(isinstance(item, Committed) for item in outcomes) == 3, outcomes
    for reason in failed:
        assert any(text in reason for text in REASONS), reason
    if failed:
        patience = TIMEOUT_SECONDS + 2 * LOCK_SECONDS_MAX
        assert time.monotonic() - asked_at < patience + MARGIN_SECONDS
    return not failed


@pytest.mark.parametrize("clients", [1, 8])
async def test_the_others_go_on_when_a_node_is_stopped_in_mid_transaction(
    postgres_database: PostgresAddress, clients: int
) -> None:
    """With one client or several that share the transaction; it holds the head row."""
    authority = PostgresAuthority(replace(postgres_database, timeout=TIMEOUT_SECONDS))
    await authority.open()
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.writer_process", dsn_of(postgres_database)),
        *("1", "0", str(clients)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert writer.stdout is not None
    await writer.stdout.readline()
    await stop_in_mid_transaction(writer, postgres_database)
    stopped_at = time.monotonic()
    while not await wrote(authority):
        pass
    assert time.monotonic() - stopped_at < IDLE_IN_TRANSACTION_SECONDS_MAX + MARGIN_SECONDS
    before = (await authority.head()).version.revision
    writer.send_signal(signal.SIGCONT)
    while line := await writer.stdout.readline():  # its transaction is gone; it goes on with others
        if int(line) > before:
            break
    writer.kill()
    _, errors = await writer.communicate()
    assert line, errors.decode()
    await check_history(authority)
    await authority.close()
