"""A cluster of real processes, as its users see it."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres, settings_for
from node.demo.upstream import SampleUpstream
from tests.postgres_server import PostgresDatabases
from tests.system.conftest import StartCluster
from tests.system.waiting import until

ALL_ALIVE = {"node1": "alive", "node2": "alive", "node3": "alive"}


async def add_service(cluster: LocalCluster, upstream: SampleUpstream) -> None:
    """A service ``sample`` that leads to the sample upstream, written on the first node."""
    await cluster.post_json(
        f"{cluster.nodes[0].admin_url}/services",
        {"name": "sample", "url": f"http://127.0.0.1:{upstream.port}"},
    )


async def add_route(cluster: LocalCluster, node: LocalNode, name: str) -> dict[str, str]:
    return await cluster.post_json(
        f"{node.admin_url}/services/sample/routes", {"name": name, "paths": [f"/{name}"]}
    )


async def status(cluster: LocalCluster, node: LocalNode, path: str) -> int:
    async with cluster.session.get(f"{node.proxy_url}{path}") as response:
        await response.read()
        return response.status


async def until_status(cluster: LocalCluster, node: LocalNode, path: str, wanted: int) -> None:
    async def has_it() -> bool:
        return await status(cluster, node, path) == wanted

    await until(has_it, f"{node.name} answers {wanted} for {path}")


async def test_a_write_on_any_node_is_proxied_by_every_node(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3)
    await add_service(cluster, upstream)
    for writer in cluster.nodes:
        name = f"by-{writer.name}"
        await add_route(cluster, writer, name)
        assert await status(cluster, writer, f"/{name}") == 200, "the answering node serves it"
        for node in cluster.nodes:
            await until_status(cluster, node, f"/{name}", 200)
    async with cluster.session.delete(f"{cluster.nodes[1].admin_url}/routes/by-node1") as response:
        assert response.status == 204
    for node in cluster.nodes:
        await until_status(cluster, node, "/by-node1", 404)
        listed = await cluster.get_json(f"{node.admin_url}/routes")
        assert {route["name"] for route in listed["data"]} == {"by-node2", "by-node3"}


async def test_writes_through_alternating_nodes_build_on_each_other(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    """What a balancer before the Admin APIs does: the service on one, its route on another."""
    cluster = await start_cluster(2)
    first, second = cluster.nodes
    for number in range(10):
        service = {"name": f"s{number}", "host": "127.0.0.1", "port": upstream.port}
        await cluster.post_json(f"{first.admin_url}/services", service)
        await cluster.post_json(
            f"{second.admin_url}/services/s{number}/routes", {"paths": [f"/p{number}"]}
        )
        read = await cluster.get_json(f"{second.admin_url}/services/s{number}")
        assert read["host"] == "127.0.0.1"


@pytest.mark.long
async def test_concurrent_writes_on_all_nodes_end_at_one_revision_everywhere(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3)
    await add_service(cluster, upstream)
    rng = random.Random(7)
    await asyncio.gather(
        *(add_route(cluster, rng.choice(cluster.nodes), f"r{number}") for number in range(60))
    )

    await cluster.until_revision("1.61")  # 60 routes and a service
    for node in cluster.nodes:
        for number in range(60):
            assert await status(cluster, node, f"/r{number}") == 200


async def test_a_killed_node_is_failed_without_suspicion_and_catches_up_when_it_is_back(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(3)
    await add_service(cluster, upstream)
    await add_route(cluster, cluster.nodes[0], "before")
    first, second, third = cluster.nodes
    for node in cluster.nodes:
        await until_status(cluster, node, "/before", 200)
    await third.kill()
    seen: list[str] = []

    async def is_failed() -> bool:
        now = (await cluster.members(first))["node3"]
        if not seen or seen[-1] != now:
            seen.append(now)
        assert await status(cluster, first, "/before") == 200
        assert await status(cluster, second, "/before") == 200
        return now == "failed"

    await until(is_failed, "node1 sees node3 failed")
    assert "suspect" not in seen, "its closed ports have told"
    await add_route(cluster, second, "meanwhile")
    await until_status(cluster, first, "/meanwhile", 200)
    await third.start()
    await third.until_ready(cluster.session)
    assert await status(cluster, third, "/meanwhile") == 200
    await cluster.until_view(ALL_ALIVE)


@pytest.mark.long
async def test_a_lost_push_is_repaired_from_a_peer_by_the_heads_on_probes(
    own_postgres: LocalPostgres, start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    """While it is stopped, garbage fills the node's socket buffer: the kernel drops the push. The
    authority, where it would read of the change, is gone when it goes on."""
    address = await PostgresDatabases(own_postgres.address()).create()
    cluster = await start_cluster(2, settings_for(address))
    await add_service(cluster, upstream)
    first, second = cluster.nodes
    await cluster.until_revision("1.1")
    second.signal(signal.SIGSTOP)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as garbage:
            for _ in range(4_000):
                garbage.sendto(bytes(1_200), ("127.0.0.1", second.ports.gossip))
        await add_route(cluster, first, "meanwhile")
        own_postgres.kill()
    finally:
        second.signal(signal.SIGCONT)
    await until_status(cluster, second, "/meanwhile", 200)
    counters = (await cluster.get_json(f"{second.admin_url}/status"))["cluster"]["counters"]
    assert counters["dropped_garbage"] < 4_000, "the buffer did not overflow"
    assert counters["repairs_requested"] + counters["pulls"] > 0


async def test_a_leaving_node_is_seen_to_leave_and_its_requests_finish(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2)
    async with slow_request(cluster, cluster.nodes[1]) as (reader, writer):
        stopping = asyncio.create_task(cluster.nodes[1].stop())

        async def has_left() -> bool:
            return (await cluster.members(cluster.nodes[0])).get("node2", "left") == "left"

        await until(has_left, "node1 sees node2 gone")
        writer.write(b"c" * 10)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert await stopping == 0


@contextlib.asynccontextmanager
async def slow_request(
    cluster: LocalCluster, node: LocalNode
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A request in flight on a node, whose last 10 body bytes are still to be sent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await reader.readuntil(b"c" * 10)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await cluster.post_json(
        f"{node.admin_url}/services", {"name": "slow", "host": "127.0.0.1", "port": port}
    )
    await cluster.post_json(f"{node.admin_url}/services/slow/routes", {"paths": ["/slow"]})
    reader, writer = await asyncio.open_connection("127.0.0.1", node.ports.proxy)
    writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b"b" * 10)
    await writer.drain()

    async def is_under_way() -> bool:
        answer = await cluster.get_json(f"{node.admin_url}/status")
        return bool(answer["server"]["connections_active"] >= 1)

    await until(is_under_way, "the worker reports the connection")
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await server.wait_closed()


async def test_a_killed_worker_is_replaced_and_the_port_stays(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    await add_service(cluster, upstream)
    await add_route(cluster, cluster.nodes[0], "here")
    node = cluster.nodes[0]
    (pid,) = await worker_pids(cluster, node)
    os.kill(pid, signal.SIGKILL)
    # The listening socket never closes: this request waits in its queue for the next worker.
    assert await status(cluster, node, "/here") == 200
    assert await worker_pids(cluster, node) != [pid]


async def test_workers_exit_when_their_supervisor_is_killed(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(1)
    node = cluster.nodes[0]
    pids = await worker_pids(cluster, node)
    await node.kill()

    async def are_gone() -> bool:
        return not any(is_running(pid) for pid in pids)

    await until(are_gone, "the workers have exited", seconds=5)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the kernel likes
        await asyncio.open_connection("127.0.0.1", node.ports.proxy)


async def test_a_second_signal_ends_a_drain_at_once(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(1)
    node = cluster.nodes[0]
    async with slow_request(cluster, node):
        node.signal(signal.SIGTERM)

        async def is_draining() -> bool:
            async with cluster.session.get(f"{node.status_url}/status/ready") as response:
                return response.status == 503

        await until(is_draining, "the node says that it drains")

        async def has_ended() -> bool:
            node.signal(signal.SIGTERM)  # again and again: those within 1 s count as one
            return not node.running

        await until(has_ended, "the node ends long before shutdown_timeout", seconds=5)


async def test_nodes_and_their_addresses_may_be_ipv6(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(1)
    base = cluster.nodes[0].ports
    await cluster.nodes[0].stop()
    cluster.nodes[0].configure(
        {
            "database": "sqlite",
            "sqlite_path": str(cluster.home / "authority.db"),
            "proxy_listen": f"[::1]:{base.proxy}",
            "admin_listen": f"127.0.0.1:{base.admin}, [::1]:{base.admin}",
            "cluster_listen": f"[::1]:{base.gossip}",
        }
    )
    await cluster.nodes[0].start()
    await cluster.nodes[0].until_ready(cluster.session)
    answer = await cluster.get_json(f"http://[::1]:{base.admin}/cluster")
    assert [member["address"] for member in answer["data"]] == [f"[::1]:{base.gossip}"]
    async with cluster.session.get(f"http://[::1]:{base.proxy}/") as response:
        assert response.status == 404


async def worker_pids(cluster: LocalCluster, node: LocalNode) -> list[int]:
    answer = await cluster.get_json(f"{node.admin_url}/")
    pids: list[int] = answer["pids"]["workers"]
    return pids


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
