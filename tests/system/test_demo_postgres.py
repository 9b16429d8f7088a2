"""``grapevine demo --database postgres``."""

import asyncio
import os
import signal

import aiohttp
import pytest

from tests.system.conftest import free_base
from tests.system.processes import grapevine


@pytest.mark.long
async def test_the_demo_runs_on_a_private_postgres_and_leaves_nothing() -> None:
    base = free_base(3)
    demo = await grapevine("demo", "--base-port", str(base), "--database", "postgres")
    await demo.until_output(r"3 nodes are up after [0-9.]+ s\.")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{base + 101}/") as response:
            configuration = (await response.json())["configuration"]
        assert configuration["database"] == "postgres"
        async with session.get(f"http://127.0.0.1:{base + 200}/hello") as response:
            assert response.status == 200
    os.killpg(demo.process.pid, signal.SIGINT)
    assert await demo.end() == 0, demo.output
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", configuration["pg_port"])
