"""``grapevine cluster keys``, asking a real Admin API in front of a played cluster."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from gossip.keyring import key_id
from node.admin.app import create_admin_app
from node.admin.server import create_runner
from node.cli import main
from node.config.load import load
from store.migrations.sqlite_runner import SqliteMigrations
from store.replica import Replica
from store.sqlite import SqliteAuthority
from tests.admin.small_node import SmallNode
from tests.agent.key_nodes import K1, K2
from tests.agent.key_nodes import Node as KeyNode
from tests.agent.test_key_changes import member

TOKEN = "t" * 16
TEXT = base64.b64encode(K2).decode()
ID1, ID2 = key_id(K1), key_id(K2)

Keys = Callable[..., Coroutine[Any, Any, Result]]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[SmallNode]:
    settings = load(None, {"prefix": str(tmp_path), "database": "sqlite", "admin_token": TOKEN}, {})
    await SqliteMigrations(settings.sqlite_path).bootstrap()
    authority = SqliteAuthority(settings.sqlite_path)
    info = await authority.open()
    yield SmallNode(settings, authority, Replica(info.id), info)
    await authority.close()


@pytest.fixture
async def keyring(node: SmallNode) -> KeyNode:
    return await node.keyring.start()


@pytest.fixture
async def keys(node: SmallNode, keyring: KeyNode) -> AsyncIterator[Keys]:
    """Runs ``grapevine cluster keys …`` beside the node."""
    runner = create_runner(create_admin_app(node))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    async def run(*words: str, stdin: str | None = None) -> Result:
        arguments = ("cluster", "keys", *words, "--set", f"admin_listen={host}:{port}")
        return await asyncio.to_thread(
            CliRunner().invoke,
            main,
            (*arguments, "--set", f"admin_token={TOKEN}"),
            input=stdin,
            catch_exceptions=False,
        )

    yield run
    await runner.cleanup()


async def test_a_rotation(keys: Keys) -> None:
    installed = await keys("install", TEXT)
    assert (installed.exit_code, installed.stdout) == (0, f"{ID2}\n")
    used = await keys("use", ID2)
    assert (used.exit_code, used.stdout) == (0, f"key {ID2} is in use\n")
    removed = await keys("remove", ID1)
    assert (removed.exit_code, removed.stdout) == (0, f"key {ID1} is removed\n")
    listed = json.loads((await keys("list", "--json")).stdout)
    assert listed["data"] == [{"id": ID2, "primary": True}]
    assert listed["counter"] == 3


async def test_the_list_names_who_lacks_the_last_change(keys: Keys, keyring: KeyNode) -> None:
    keyring.others = [member(2, 0)._replace(name="gw2\x1b[31m"), member(3, 1)]
    await keys("install", TEXT)
    result = await keys("list")
    assert result.stdout.splitlines() == [
        "id        in use",
        f"{ID1}  yes",
        f"{ID2}  -",
        r"change 1: 2 of 3 members have it, not yet gw2\x1b[31m",
    ]


async def test_a_key_from_standard_input_stays_out_of_the_list_of_processes(keys: Keys) -> None:
    result = await keys("install", "-", stdin=f"{TEXT}\n")
    assert (result.exit_code, result.stdout) == (0, f"{ID2}\n")


async def test_without_a_key_the_node_draws_one_and_only_its_id_is_printed(
    keys: Keys, keyring: KeyNode
) -> None:
    result = await keys("install")
    assert keyring.in_use is not None
    assert result.stdout == f"{key_id(keyring.in_use.keys[1])}\n"


@pytest.mark.parametrize("stdin", ["", "hunter2-hunter2\n", "A" * 5_000])
async def test_what_is_no_key_is_a_usage_error_and_not_repeated(keys: Keys, stdin: str) -> None:
    for result in (await keys("install", "-", stdin=stdin), await keys("install", stdin or "x")):
        assert result.exit_code == 2
        assert "hunter2" not in result.output
        assert "AAAAA" not in result.output


@pytest.mark.parametrize("command", ["use", "remove"])
async def test_a_key_in_the_place_of_an_id_is_a_usage_error_and_goes_nowhere(
    keys: Keys, node: SmallNode, command: str
) -> None:
    result = await keys(command, TEXT)
    assert result.exit_code == 2
    assert TEXT not in result.output


async def test_what_the_node_refuses_is_exit_code_1_with_its_reason(
    keys: Keys, keyring: KeyNode
) -> None:
    await keys("install", TEXT)
    keyring.others = [member(2, 0)]
    for words in (("use", ID2), ("remove", ID2)):
        result = await keys(*words)
        assert result.exit_code == 1
        assert "with 409: the last change of keys (1) hasn't been told back by gw2" in result.stderr
    assert (await keys("use", "00000000")).exit_code == 1
    assert (await keys("remove", ID2, "--force")).exit_code == 0


async def test_install_waits_until_every_live_member_has_the_key(
    keys: Keys, keyring: KeyNode
) -> None:
    keyring.others = [member(2, 0), member(3, 0, "failed")]
    waiting = asyncio.create_task(keys("install", TEXT, "--wait", "30"))
    async with asyncio.timeout(20):
        while keyring.in_use is None or keyring.in_use.counter == 0:
            await asyncio.sleep(0.01)
    keyring.others[0] = member(2, 1)
    result = await waiting
    assert (result.exit_code, result.stdout) == (0, f"{ID2}\n")


async def test_install_that_waits_in_vain_says_for_whom(keys: Keys, keyring: KeyNode) -> None:
    keyring.others = [member(2, 0)]
    result = await keys("install", TEXT, "--wait", "0")
    assert (result.exit_code, result.stdout) == (1, f"{ID2}\n")
    assert result.stderr.splitlines()[-1].endswith("has told that it has it: gw2")


async def test_no_node_there_is_exit_code_3(keys: Keys) -> None:
    result = await keys("list", "--admin-url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "is the node running?" in result.stderr


async def test_an_answer_without_keys_is_exit_code_1(keys: Keys, node: SmallNode) -> None:
    async def nothing(request: web.Request) -> web.Response:
        return web.json_response([])

    app = web.Application()
    app.router.add_route("*", "/cluster/keys", nothing)
    runner = create_runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    for words in (("list",), ("install", TEXT)):
        result = await keys(*words, "--admin-url", f"http://{host}:{port}")
        assert result.exit_code == 1
        assert "holds no keys; is this a Grapevine node?" in result.stderr
    await runner.cleanup()
