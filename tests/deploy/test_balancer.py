"""What clients and upstreams see through nginx as the guide sets it up.

nginx's ``proxy_pass`` speaks HTTP/1.0 to the nodes and opens a connection for each request.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from node.demo.cluster import LocalNode
from tests.deploy.conftest import BODY_MIB_MAX, NODES, Balanced, balanced_cluster
from tests.deploy.upstream import PIECE, digest_of
from tests.system.waiting import until

BIG_MIB = 100
GROWTH_KIB_MAX = 24 * 1024
"""Buffers and sockets of a transfer; a body held in memory would be four times that."""
TRANSFER = aiohttp.ClientTimeout(total=60)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def balanced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Balanced]:
    """One that all tests here share: they ask, and leave everything as it was."""
    async with balanced_cluster(tmp_path_factory.mktemp("balanced")) as shared:
        yield shared


async def worker_pids(balanced: Balanced, node: LocalNode) -> list[int]:
    pids: list[int] = (await balanced.cluster.get_json(node.admin_url))["pids"]["workers"]
    return pids


async def workers_peak_kib(balanced: Balanced) -> int:
    """The highest peak of resident memory of all workers so far."""
    peaks = []
    for node in balanced.cluster.nodes:
        for pid in await worker_pids(balanced, node):
            peaks.append(peak_kib(pid))
    return max(peaks)


def peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak)


async def digest_of_answer(balanced: Balanced, path: str) -> str:
    digest = hashlib.sha256()
    url = balanced.balancer.url + path
    async with balanced.cluster.session.get(url, timeout=TRANSFER) as response:
        assert response.status == 200
        async for piece in response.content.iter_any():
            digest.update(piece)
    return digest.hexdigest()


async def pieces(mib: int) -> AsyncIterator[bytes]:
    for _ in range(mib * 2**20 // len(PIECE)):
        yield PIECE


async def test_nginx_asks_in_http_1_0_and_the_nodes_log_its_client(balanced: Balanced) -> None:
    for _ in range(NODES):
        async with balanced.cluster.session.get(f"{balanced.balancer.url}/logged") as response:
            assert response.status == 200

    async def logged() -> bool:
        logs = [node.prefix / "logs" / "access.log" for node in balanced.cluster.nodes]
        return all('"GET /logged HTTP/1.0" 200' in log.read_text() for log in logs)

    await until(logged, "each node has logged its request")


async def test_a_chunked_answer_arrives_whole_though_nginx_asks_in_http_1_0(
    balanced: Balanced,
) -> None:
    assert await digest_of_answer(balanced, "/chunks/3") == digest_of(3)


async def test_100_mib_pass_down_without_growing_a_worker(balanced: Balanced) -> None:
    before = await workers_peak_kib(balanced)
    assert await digest_of_answer(balanced, f"/bytes/{BIG_MIB}") == digest_of(BIG_MIB)
    assert await workers_peak_kib(balanced) - before < GROWTH_KIB_MAX


@pytest.mark.parametrize("chunked", [False, True])
async def test_100_mib_pass_up_without_growing_a_worker(balanced: Balanced, chunked: bool) -> None:
    before = await workers_peak_kib(balanced)
    length = {} if chunked else {"Content-Length": str(BIG_MIB * 2**20)}
    async with balanced.cluster.session.post(
        f"{balanced.balancer.url}/digest", data=pieces(BIG_MIB), headers=length, timeout=TRANSFER
    ) as response:
        assert response.status == 200
        got = await response.json()
    assert got == {"bytes": BIG_MIB * 2**20, "sha256": digest_of(BIG_MIB)}
    assert await workers_peak_kib(balanced) - before < GROWTH_KIB_MAX


async def test_a_body_too_large_is_answered_413_by_the_node_before_it_is_read(
    balanced: Balanced,
) -> None:
    """nginx has the whole body when it asks the node, and goes on sending into an early answer."""
    before = balanced.upstream.requests
    async with balanced.cluster.session.post(
        f"{balanced.balancer.url}/digest", data=pieces(BODY_MIB_MAX + 1), timeout=TRANSFER
    ) as response:
        assert response.status == 413
        assert response.headers["Server"].startswith("nginx")
        assert (await response.json())["message"] == "Payload too large"
    assert balanced.upstream.requests == before


async def test_a_slow_upstream_holds_up_its_own_requests_only(balanced: Balanced) -> None:
    session, url = balanced.cluster.session, balanced.balancer.url
    slow = [asyncio.create_task(text_of(balanced, "/wait")) for _ in range(2 * NODES)]
    await balanced.upstream.waiting.wait()
    for _ in range(2 * NODES):  # round robin: two on each node
        async with session.get(f"{url}/x") as response:
            assert response.status == 200
    assert not any(request.done() for request in slow)
    balanced.upstream.release.set()
    assert await asyncio.gather(*slow) == ["at last"] * len(slow)


async def text_of(balanced: Balanced, path: str) -> str:
    async with balanced.cluster.session.get(
        balanced.balancer.url + path, timeout=TRANSFER
    ) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.parametrize("forged", ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Host"])
async def test_the_upstream_sees_the_clients_address_and_nothing_that_it_forged(
    balanced: Balanced, forged: str
) -> None:
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.get(f"{balanced.balancer.url}/x", headers={forged: "203.0.113.66"}) as response,
    ):
        seen = await response.json()
    assert seen["x-real-ip"] == "127.0.0.2"
    assert seen["x-forwarded-for"] == "127.0.0.2, 127.0.0.1"
    assert "203.0.113.66" not in str(seen)


async def test_a_client_that_goes_round_nginx_cant_forge_its_address_either(
    balanced: Balanced,
) -> None:
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    node = balanced.cluster.nodes[0]
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.get(f"{node.proxy_url}/x", headers={"X-Real-IP": "203.0.113.66"}) as response,
    ):
        seen = await response.json()
    assert seen["x-real-ip"] == "127.0.0.2"
    assert "203.0.113.66" not in str(seen)
