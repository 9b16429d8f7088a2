"""Starting a node when something is in the way."""

import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from node.demo.cluster import LocalNode
from node.demo.ports import node_ports
from store.migrations.sqlite_runner import SqliteMigrations
from tests.system.conftest import StartCluster, free_base
from tests.system.processes import grapevine
from tests.system.waiting import until


def lone_node(home: Path) -> LocalNode:
    node = LocalNode(home, 1, node_ports(free_base(1), 1))
    node.configure({"database": "sqlite", "sqlite_path": str(home / "authority.db")})
    return node


async def test_without_a_schema_the_node_stays_up_says_what_to_type_and_goes_on(
    tmp_path: Path,
) -> None:
    node = lone_node(tmp_path)
    run = await grapevine("run", "-c", str(node.conf))
    url = f"{node.status_url}/status/ready"
    async with aiohttp.ClientSession() as session:

        async def says_what_to_type() -> bool:
            async with session.get(url) as response:
                return (
                    response.status == 503
                    and "grapevine migrations bootstrap" in await response.text()
                )

        async def is_ready() -> bool:
            async with session.get(url) as response:
                return response.status == 200

        await until(says_what_to_type, "/status/ready is 503 and names the command")
        async with session.post(f"{node.admin_url}/services", json={"host": "a.test"}) as response:
            assert response.status == 503
            assert "grapevine migrations bootstrap" in (await response.json())["message"]
        with pytest.raises(OSError):  # noqa: PT011 - a balancer retries a refusal, not a 503
            await session.get(node.proxy_url)
        await SqliteMigrations(tmp_path / "authority.db").bootstrap()
        await until(is_ready, "the node gets ready by itself")
    run.process.send_signal(signal.SIGTERM)
    assert await run.end() == 0


async def test_a_taken_proxy_port_is_named_and_the_exit_code_is_1(tmp_path: Path) -> None:
    node = lone_node(tmp_path)
    await SqliteMigrations(tmp_path / "authority.db").bootstrap()
    with socket.create_server(("127.0.0.1", node.ports.proxy)):
        run = await grapevine("run", "-c", str(node.conf))
        assert await run.end() == 1
    assert f"proxy_listen: 127.0.0.1:{node.ports.proxy}" in run.output
    assert "another process listens there" in run.output
    assert run.group_members() == []


@pytest.mark.parametrize("listener", ["admin", "status", "gossip"])
async def test_any_other_taken_port_is_named_too(tmp_path: Path, listener: str) -> None:
    node = lone_node(tmp_path)
    await SqliteMigrations(tmp_path / "authority.db").bootstrap()
    port = getattr(node.ports, listener)
    with socket.create_server(("127.0.0.1", port)):
        run = await grapevine("run", "-c", str(node.conf))
        assert await run.end() == 1
    assert f"127.0.0.1:{port}" in run.output
    assert "Traceback" not in run.output
    assert run.group_members() == []


async def test_two_nodes_in_one_prefix_are_refused(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(1)
    run = await grapevine("run", "-c", str(cluster.nodes[0].conf))
    assert await run.end() == 1
    assert f"already running in {cluster.nodes[0].prefix}" in run.output


async def test_a_damaged_identity_is_named(tmp_path: Path) -> None:
    node = lone_node(tmp_path)
    node.prefix.mkdir()
    (node.prefix / "identity.json").write_text("{]")
    run = await grapevine("run", "-c", str(node.conf))
    assert await run.end() == 1
    assert "identity.json is damaged" in run.output
    assert "Traceback" not in run.output


async def test_a_broken_conf_file_is_refused_line_by_line(tmp_path: Path) -> None:
    conf = tmp_path / "broken.conf"
    conf.write_text("proxy_listen = nonsense:port\nproxy_listn = 0.0.0.0:80\nlog_level = loud\n")
    run = await grapevine("run", "-c", str(conf))
    assert await run.end() == 1
    for mistake in ("broken.conf:1", "proxy_listn", "broken.conf:3"):
        assert mistake in run.output
    assert "Traceback" not in run.output
