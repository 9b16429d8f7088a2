"""/debug: the log's level, in Kong's words."""

from dataclasses import replace

import pytest

from node.admin.app import create_admin_app
from tests.admin.client import Client
from tests.admin.conftest import Serve
from tests.admin.small_node import SmallNode


async def test_the_level_in_force_is_shown(admin: Client, node: SmallNode) -> None:
    node.log_levels.level = "debug"
    answer = await admin.get("/debug/node/log-level")
    assert (answer.status, answer.json) == (200, {"message": "log level: debug"})


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", 60),
        ("?timeout=5", 5),
        ("?timeout=1.2", 2),
        ("?timeout=0", 0),
        ("?timeout=soon", 60),
        ("?timeout=nan", 60),
        ("?timeout=inf", 60),
    ],
)
async def test_a_level_is_set_for_a_time(
    admin: Client, node: SmallNode, query: str, seconds: int
) -> None:
    for place, told in (("node", node.log_levels.here), ("cluster", node.log_levels.everywhere)):
        answer = await admin.put(f"/debug/{place}/log-level/debug{query}")
        assert (answer.status, answer.message) == (200, "log level changed")
        assert told == [("debug", seconds)]


async def test_the_time_may_be_in_the_body(admin: Client, node: SmallNode) -> None:
    await admin.put("/debug/node/log-level/debug", json={"timeout": 7})
    await admin.put("/debug/node/log-level/info", data={"timeout": "8"})
    assert node.log_levels.here == [("debug", 7), ("info", 8)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("trace", "unknown log level: trace"),
        ("8", "unknown log level: 8"),
        ("debug?timeout=-1", "timeout must be greater than or equal to 0"),
        ("debug?timeout=1e9", "timeout must be at most 31536000"),
    ],
)
async def test_what_is_no_level_or_time_is_refused(
    admin: Client, node: SmallNode, path: str, text: str
) -> None:
    for place in ("node", "cluster"):
        answer = await admin.put(f"/debug/{place}/log-level/{path}")
        assert (answer.status, answer.message) == (400, text)
    assert node.log_levels.here == node.log_levels.everywhere == []


async def test_what_is_in_force_already_is_said_to_be(admin: Client, node: SmallNode) -> None:
    answer = await admin.put("/debug/node/log-level/notice")
    assert (answer.status, answer.message) == (200, "log level is already notice")
    assert node.log_levels.here == []
    await admin.put("/debug/cluster/log-level/notice")
    assert node.log_levels.everywhere == [("notice", 60)], "other nodes may have another"


async def test_on_a_control_plane_the_clusters_path_is_another(
    node: SmallNode, serve: Serve
) -> None:
    node.settings = replace(node.settings, role="control_plane")
    admin = await serve(create_admin_app(node))
    path = "/debug/cluster/control-planes-nodes/log-level/debug"
    assert (await admin.put(path)).status == 200
    assert node.log_levels.everywhere == [("debug", 60)]
