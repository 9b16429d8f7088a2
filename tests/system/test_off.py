"""``database = off``: a cluster whose configuration is one declarative document."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from node.demo.cluster import LocalNode
from node.demo.ports import node_ports
from node.demo.upstream import SampleUpstream
from tests.system.conftest import free_base
from tests.system.processes import Command, grapevine
from tests.system.waiting import until


def document(upstream: SampleUpstream, *paths: str) -> str:
    routes = [{"name": path.strip("/"), "paths": [path]} for path in paths]
    service = {"name": "sample", "url": f"http://127.0.0.1:{upstream.port}", "routes": routes}
    text: str = yaml.safe_dump({"_format_version": "3.0", "services": [service]})
    return text


class Off:
    """Nodes without a database, each with the others as seeds."""

    def __init__(self, home: Path, count: int) -> None:
        base = free_base(count)
        self.nodes = [LocalNode(home, n, node_ports(base, n)) for n in range(1, count + 1)]
        self.session = aiohttp.ClientSession()
        self.runs: dict[str, Command] = {}

    async def start(self, node: LocalNode, settings: Mapping[str, str] | None = None) -> None:
        seeds = [f"127.0.0.1:{other.ports.gossip}" for other in self.nodes if other is not node]
        node.configure({"database": "off", "cluster_seeds": ", ".join(seeds), **(settings or {})})
        self.runs[node.name] = await grapevine("run", "-c", str(node.conf))

    async def stop(self, node: LocalNode) -> None:
        run = self.runs.pop(node.name)
        run.process.send_signal(signal.SIGTERM)
        assert await run.end() == 0

    async def post(self, node: LocalNode, text: str, query: str = "") -> tuple[int, Any]:
        url = f"{node.admin_url}/config{query}"
        async with self.session.post(url, json={"config": text}) as response:
            body = await response.json() if response.status != 304 else None
            return response.status, body

    async def status(self, url: str) -> int:
        async with self.session.get(url) as response:
            return response.status

    async def until_status(self, node: LocalNode, path: str, status: int) -> None:
        async def is_so() -> bool:
            return await self.status(f"{node.proxy_url}{path}") == status

        await until(is_so, f"{node.name} answers {status} for {path}", seconds=30)

    async def until_members(self, node: LocalNode, count: int) -> None:
        async def is_so() -> bool:
            async with self.session.get(f"{node.admin_url}/cluster") as response:
                members = (await response.json())["data"]
            return [member["status"] for member in members] == count * ["alive"]

        await until(is_so, f"{node.name} sees {count} members", seconds=30)

    async def until_ready(self, node: LocalNode, status: int = 200) -> None:
        async def is_so() -> bool:
            return await self.status(f"{node.status_url}/status/ready") == status

        await until(is_so, f"{node.name} is ready: {status}", seconds=30)


@pytest.fixture
async def off(tmp_path: Path) -> Any:
    made: list[Off] = []

    def make(count: int) -> Off:
        made.append(Off(tmp_path, count))
        return made[-1]

    yield make
    for one in made:
        await one.session.close()


async def test_a_document_posted_to_any_node_is_served_by_all_and_survives_them(
    off: Any, upstream: SampleUpstream
) -> None:
    cluster: Off = off(3)
    first, second, third = cluster.nodes
    for node in cluster.nodes:
        await cluster.start(node)
    for node in cluster.nodes:
        await cluster.until_status(node, "/a", 404)
        await cluster.until_ready(node, 503)

    status, entities = await cluster.post(second, document(upstream, "/a"))
    assert status == 201
    assert {entity["name"] for entity in entities["routes"].values()} == {"a"}
    for node in cluster.nodes:
        await cluster.until_status(node, "/a", 200)
        await cluster.until_ready(node)
        async with cluster.session.get(f"{node.admin_url}/services/sample") as response:
            assert response.status == 200
            assert "Grapevine-Source" not in response.headers

    assert (await cluster.post(third, document(upstream, "/b")))[0] == 201
    for node in cluster.nodes:
        await cluster.until_status(node, "/b", 200)
        await cluster.until_status(node, "/a", 404)

    for node in cluster.nodes:
        await cluster.stop(node)
    await cluster.start(first)
    await cluster.until_status(first, "/b", 200)
    await cluster.start(second)
    await cluster.until_status(second, "/b", 200)


async def test_entities_are_not_written_one_by_one(off: Any, upstream: SampleUpstream) -> None:
    cluster: Off = off(1)
    (node,) = cluster.nodes
    await cluster.start(node)
    await cluster.until_status(node, "/a", 404)
    await cluster.post(node, document(upstream, "/a"))
    async with cluster.session.post(f"{node.admin_url}/services", json={"host": "h"}) as response:
        assert response.status == 405
        assert await response.json() == {
            "code": 12,
            "name": "operation unsupported",
            "message": "cannot create 'services' entities when not using a database",
        }
    async with cluster.session.delete(f"{node.admin_url}/services/sample") as response:
        assert response.status == 405


async def test_what_is_served_can_be_asked_for_and_posted_again(
    off: Any, upstream: SampleUpstream
) -> None:
    cluster: Off = off(1)
    (node,) = cluster.nodes
    await cluster.start(node)
    await cluster.until_status(node, "/a", 404)
    text = document(upstream, "/a")
    assert (await cluster.post(node, text))[0] == 201
    assert (await cluster.post(node, text, "?check_hash=1"))[0] == 304
    async with cluster.session.get(f"{node.admin_url}/config") as response:
        shown = (await response.json())["config"]
    assert [route["name"] for route in yaml.safe_load(shown)["routes"]] == ["a"]
    assert (await cluster.post(node, shown))[0] == 201
    async with cluster.session.post(
        f"{node.admin_url}/config", data=text, headers={"Content-Type": "text/yaml"}
    ) as response:
        assert response.status == 201
        assert response.headers["Grapevine-Revision"].startswith("3.1-")
    form = aiohttp.FormData()
    form.add_field("config", text, filename="kong.yml")
    async with cluster.session.post(f"{node.admin_url}/config", data=form) as response:
        assert response.status == 201


async def test_a_document_with_mistakes_changes_nothing(off: Any, upstream: SampleUpstream) -> None:
    cluster: Off = off(1)
    (node,) = cluster.nodes
    await cluster.start(node)
    await cluster.until_status(node, "/a", 404)
    await cluster.post(node, document(upstream, "/a"))
    status, error = await cluster.post(node, "_format_version: '3.0'\nservices: [{name: x}]")
    assert (status, error["code"]) == (400, 14)
    assert error["fields"] == {"services": [{"host": "required field missing"}]}
    await cluster.until_status(node, "/a", 200)


@pytest.mark.long
async def test_a_file_seeds_a_cluster_once_and_counts_again_when_it_has_changed(
    off: Any, upstream: SampleUpstream, tmp_path: Path
) -> None:
    cluster: Off = off(2)
    first, second = cluster.nodes
    file = tmp_path / "kong.yml"
    other = tmp_path / "other.yml"
    file.write_text(document(upstream, "/seed"))
    other.write_text(document(upstream, "/other"))
    await cluster.start(first, {"declarative_config": str(file)})
    await cluster.until_status(first, "/seed", 200)
    await cluster.start(second, {"declarative_config": str(other)})
    await cluster.until_status(second, "/seed", 200)
    await cluster.runs[second.name].until_output("declarative_config isn't loaded; POST it")

    assert (await cluster.post(second, document(upstream, "/posted")))[0] == 201
    await cluster.until_status(first, "/posted", 200)
    await cluster.stop(first)
    await cluster.start(first, {"declarative_config": str(file)})
    await cluster.until_status(first, "/posted", 200)

    file.write_text(document(upstream, "/changed"))
    cluster.runs[first.name].process.send_signal(signal.SIGHUP)
    for node in cluster.nodes:
        await cluster.until_status(node, "/changed", 200)


@pytest.mark.long
async def test_of_two_clusters_that_meet_the_higher_document_wins_whole(
    off: Any, upstream: SampleUpstream
) -> None:
    cluster: Off = off(2)
    first, second = cluster.nodes
    await cluster.start(first)
    await cluster.until_status(first, "/a", 404)
    await cluster.post(first, document(upstream, "/a"))
    await cluster.post(first, document(upstream, "/a2"))
    await cluster.stop(first)
    await cluster.start(second, {"cluster_seeds": f"127.0.0.1:{first.ports.gossip}"})
    await cluster.until_status(second, "/b", 404)
    await cluster.post(second, document(upstream, "/b"))
    await cluster.start(first)
    for node in cluster.nodes:
        await cluster.until_status(node, "/a2", 200)
        await cluster.until_status(node, "/b", 404)


async def test_with_a_database_what_is_served_is_not_a_document(off: Any, tmp_path: Path) -> None:
    from store.migrations.sqlite_runner import SqliteMigrations

    cluster: Off = off(1)
    (node,) = cluster.nodes
    path = tmp_path / "authority.db"
    await SqliteMigrations(path).bootstrap()
    await cluster.start(node, {"database": "sqlite", "sqlite_path": str(path)})
    await cluster.until_ready(node)
    async with cluster.session.get(f"{node.admin_url}/config") as response:
        assert (response.status, (await response.json())["message"]) == (
            400,
            "this endpoint is only available when Kong is configured to not use a database",
        )


async def test_a_document_is_everywhere_when_its_fence_says_so(
    off: Any, upstream: SampleUpstream
) -> None:
    cluster: Off = off(3)
    first, second, _ = cluster.nodes
    for node in cluster.nodes:
        await cluster.start(node)
    for node in cluster.nodes:
        await cluster.until_status(node, "/a", 404)
    await cluster.until_members(first, 3)
    for text in (document(upstream, "/a"), document(upstream, "/b")):
        async with cluster.session.post(
            f"{first.admin_url}/config?fence=all&timeout=20", json={"config": text}
        ) as response:
            assert (response.status, response.headers["Grapevine-Fence"]) == (
                201,
                "complete; members=3",
            )
            revision = response.headers["Grapevine-Revision"]
    for node in cluster.nodes:
        assert await cluster.status(f"{node.proxy_url}/b") == 200
    url = f"{second.admin_url}/cluster/revision?fence={revision}"
    assert await cluster.status(url) == 200
