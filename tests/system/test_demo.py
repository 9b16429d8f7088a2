"""``grapevine demo`` as a newcomer types it, without a terminal."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from node.demo.ports import taken_port
from tests.system.conftest import free_base
from tests.system.processes import Command, grapevine

UP = r"3 nodes are up after [0-9.]+ s\."


async def stop(demo: Command, number: signal.Signals) -> None:
    """Stop a demo as a terminal would: the signal goes to the whole process group."""
    os.killpg(demo.process.pid, number)
    assert await demo.end() == 0, demo.output
    assert demo.group_members() == []


async def test_the_demo_does_what_it_prints_and_leaves_nothing(tmp_path: Path) -> None:
    base = free_base(3)
    for number in (signal.SIGINT, signal.SIGTERM):
        demo = await grapevine(
            "demo", "--base-port", str(base), environment={"TMPDIR": str(tmp_path)}
        )
        await demo.until_output(UP)
        await demo.until_output(r"member  node3 is alive")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{base}/hello") as response:
                assert response.status == 200
                assert (await response.json())["path"] == "/"
            write = f"http://127.0.0.1:{base + 101}/services/hello/routes"
            async with session.post(write, data={"name": "new", "paths[]": "/new"}) as response:
                assert response.status == 201
            change = await demo.until_output(r"change  1\.3 put routes/new by node2 \((.*)\)")
            assert [word for word in change[1].split() if word.startswith("node")] == [
                "node1",
                "node2",
                "node3",
            ]
            async with session.get(f"http://127.0.0.1:{base + 200}/new") as response:
                assert response.status == 200
        await stop(demo, number)
        assert taken_port(base, 3) is None
        assert os.listdir(tmp_path) == []


async def test_nodes_end_when_the_demo_itself_is_killed(tmp_path: Path) -> None:
    own = {"TMPDIR": str(tmp_path)}  # of which nobody is left to clean up
    demo = await grapevine("demo", "--base-port", str(free_base(3)), environment=own)
    await demo.until_output(UP)
    demo.process.kill()
    assert await demo.end() == -signal.SIGKILL
    async with asyncio.timeout(15):
        while demo.group_members():
            await asyncio.sleep(0.02)


@pytest.mark.long
async def test_a_killed_node_is_reported_with_the_way_to_start_it_again() -> None:
    demo = await grapevine("demo", "--base-port", str(free_base(3)))
    await demo.until_output(UP)
    await demo.until_output(r"member  node3 is alive")
    (pid,) = [pid for pid in demo.group_members() if "node3.conf" in command_line(pid)]
    os.kill(pid, signal.SIGKILL)
    await demo.until_output(r"node3 \(pid \d+\) ended with exit code -9; .* run -c \S+node3\.conf")
    await demo.until_output(r"member  node3 is failed")
    await stop(demo, signal.SIGINT)


async def test_an_explicit_base_port_that_is_taken_is_an_error_naming_it() -> None:
    base = free_base(3)
    with socket.create_server(("127.0.0.1", base + 101)):
        demo = await grapevine("demo", "--base-port", str(base))
        assert await demo.end() == 1
    assert f"port {base + 101} is taken" in demo.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nodes", "0"], "0 is not in the range"),
        (["--nodes", "many"], "'many' is not a valid integer"),
        (["--base-port", "65000"], "would pass port 65535"),
        (["--base-port", "-1"], "-1 is not in the range"),
        (["--database", "oracle"], "'oracle' is not"),
    ],
)
async def test_bad_arguments_are_refused(arguments: list[str], complaint: str) -> None:
    demo = await grapevine("demo", "--nodes", "8", *arguments)
    assert await demo.end() in (1, 2)
    assert complaint in demo.output


def command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
