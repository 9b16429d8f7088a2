"""Plugins on real nodes: configured on one, in force on all, and counted for Prometheus."""

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.upstream import SampleUpstream
from tests.metrics.exposition import read
from tests.system.conftest import StartCluster
from tests.system.test_cluster import add_route, add_service
from tests.system.waiting import until


async def ask(cluster: LocalCluster, node: LocalNode, key: str = "") -> tuple[int, str]:
    headers = {"Connection": "close"}  # so that the next one may come to another worker
    if key:
        headers["apikey"] = key
    async with cluster.session.get(f"{node.proxy_url}/r", headers=headers) as response:
        await response.read()
        return response.status, response.headers.get("RateLimit-Remaining", "")


async def test_what_one_node_is_told_every_worker_of_every_node_does(
    start_cluster: StartCluster, upstream: SampleUpstream
) -> None:
    cluster = await start_cluster(2, {"nginx_worker_processes": "2"})
    first, second = cluster.nodes
    await add_service(cluster, upstream)
    await add_route(cluster, first, "r")
    flags = dict.fromkeys(("status_code_metrics", "per_consumer"), True)
    for path, fields in (
        ("/consumers", {"username": "ann"}),
        ("/consumers/ann/key-auth", {"key": "k"}),
        ("/routes/r/plugins", {"name": "key-auth"}),
        ("/plugins", {"name": "rate-limiting", "config": {"day": 40}}),
        ("/plugins", {"name": "prometheus", "config": flags}),
    ):
        await cluster.post_json(f"{first.admin_url}{path}", fields)

    async def guarded() -> bool:
        return (await ask(cluster, second))[0] == 401

    async def known() -> bool:
        return (await ask(cluster, second, "k"))[0] == 200

    await until(guarded, "the other node asks for a key")
    await until(known, "the other node knows the key")
    left = int((await ask(cluster, first, "k"))[1])
    for _ in range(20):
        left -= 1
        assert await ask(cluster, first, "k") == (200, str(left))
    assert (await ask(cluster, first, "wrong"))[0] == 401

    async def counted() -> bool:
        async with cluster.session.get(f"{first.status_url}/metrics") as response:
            exposed = read(await response.text())
        of = {"service": "sample", "route": "r", "workspace": "default"}
        found = {
            labels: value
            for (name, labels), value in exposed.samples.items()
            if name == "kong_http_requests_total"
        }
        ann = {**of, "code": "200", "source": "service", "consumer": "ann"}
        nobody = {**of, "code": "401", "source": "kong", "consumer": ""}
        return found == {
            tuple(sorted(ann.items())): 21,
            tuple(sorted(nobody.items())): 1,
        }

    await until(counted, "both workers' requests are counted together")
    root = await cluster.get_json(f"{second.admin_url}/")
    assert root["plugins"]["enabled_in_cluster"] == ["key-auth", "prometheus", "rate-limiting"]
