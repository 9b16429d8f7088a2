"""Garbage on every port of a running node: refused or dropped, counted, survived."""

import asyncio
import random
import socket

from node.demo.cluster import LocalCluster, LocalNode
from tests.system.conftest import StartCluster
from tests.system.waiting import until

PACKETS = 200


async def dropped(cluster: LocalCluster, node: LocalNode) -> int:
    answer = await cluster.get_json(f"{node.status_url}/status")
    return sum(
        count
        for name, count in answer["cluster"]["counters"].items()
        if name.startswith("dropped_")
    )


async def test_garbage_on_the_gossip_port_is_counted_and_changes_nothing(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(2)
    node = cluster.nodes[0]
    rng = random.Random(3)
    before = await dropped(cluster, node)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(PACKETS):
            sender.sendto(rng.randbytes(rng.randrange(0, 1400)), ("127.0.0.1", node.ports.gossip))

    async def all_counted() -> bool:
        return await dropped(cluster, node) >= before + PACKETS

    await until(all_counted, f"{PACKETS} packets are counted as dropped")
    reader, writer = await asyncio.open_connection("127.0.0.1", node.ports.gossip)
    writer.write(b"\xff" * 10_000)
    assert await reader.read() == b"", "a stream that begins with a frame of 4 GiB is closed"
    writer.close()
    assert await cluster.members(node) == {"node1": "alive", "node2": "alive"}
    await cluster.post_json(f"{node.admin_url}/services", {"host": "still.works.test"})


async def test_garbage_on_the_http_ports_is_answered_400(start_cluster: StartCluster) -> None:
    cluster = await start_cluster(1)
    ports = cluster.nodes[0].ports
    for port in (ports.proxy, ports.admin, ports.status):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        answer = await reader.read()
        assert b" 400 " in answer.partition(b"\r\n")[0], answer
        writer.close()
