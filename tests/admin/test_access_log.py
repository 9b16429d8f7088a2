"""The Admin API's access log: a line per answer, and never in the way of one."""

import os
import re
from pathlib import Path

import pytest

from node.admin import access_log
from node.admin.access_log import AccessLog
from node.admin.app import create_admin_app
from tests.admin.client import Client
from tests.admin.conftest import Serve
from tests.admin.small_node import SmallNode
from tests.admin.test_server import exchange
from tests.system.waiting import until

STAMP = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the default destination is."""
    return tmp_path / "logs" / "admin_access.log"


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def lines(path: Path, count: int) -> list[str]:
    """The log's lines, once there are so many."""

    async def written() -> bool:
        return content(path).count("\n") >= count

    await until(written, f"{path} has {count} lines", seconds=5)
    return content(path).splitlines()


async def test_a_line_has_nginxs_combined_format(admin: Client, path: Path) -> None:
    headers = {"User-Agent": "curl/8", "Referer": "http://here/"}
    answer = await admin.get("/services?size=1", headers=headers)
    (line,) = await lines(path, 1)
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {STAMP} "GET /services\?size=1 HTTP/1\.1" 200 {len(answer.body)} '
        '"http://here/" "curl/8"',
        line,
    )


async def test_refusals_and_what_is_no_http_are_logged_too(admin: Client, path: Path) -> None:
    await admin.get("/nowhere")
    await exchange(admin, b"nonsense\r\n\r\n")
    missing, nonsense = await lines(path, 2)
    assert re.search(r'"GET /nowhere HTTP/1\.1" 404 ', missing)
    assert re.search(r'"-" 400 ', nonsense)


async def test_a_credential_that_stands_for_an_id_is_not_logged(admin: Client, path: Path) -> None:
    await admin.post("/consumers", json={"username": "bob"})
    fields = {"key": "top secret"}
    made = (await admin.post("/consumers/bob/key-auth", json=fields)).json
    await admin.get("/key-auths/top%20secret")
    await admin.patch("/consumers/bob/key-auth/top%20secret?x=1", json={"tags": ["a"]})
    await admin.get(f"/key-auths/{made['id']}")
    await admin.get("/cache/keyauth_credentials:top%20secret:::::")
    logged = await lines(path, 6)
    assert not any("secret" in line for line in logged)
    assert '"GET /key-auths/****** HTTP/1.1" 200' in logged[2]
    assert '"PATCH /consumers/bob/key-auth/******?x=1 HTTP/1.1" 200' in logged[3]
    assert f'"GET /key-auths/{made["id"]} HTTP/1.1" 200' in logged[4]
    assert '"GET /cache/****** HTTP/1.1" 404' in logged[5]


async def test_what_a_client_sends_cant_forge_a_line_or_reach_a_terminal(
    admin: Client, path: Path
) -> None:
    await exchange(
        admin,
        b"GET /%22%0a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b'User-Agent: a" 200 \\ \xff\xc3\xa9\r\n\r\n',
    )
    (line,) = await lines(path, 1)
    assert line.isascii()
    assert line.endswith(r' "-" "a\x22 200 \x5C \xFF\xC3\xA9"')


async def test_the_token_is_not_logged(node: SmallNode, admin: Client, path: Path) -> None:
    await admin.get("/", headers={"Kong-Admin-Token": "hunter2-hunter2-hunter2"})
    (line,) = await lines(path, 1)
    assert "hunter2" not in line


async def test_an_answer_without_a_body_has_size_0(admin: Client, path: Path) -> None:
    await admin.call("HEAD", "/services")
    (line,) = await lines(path, 1)
    assert '"HEAD /services HTTP/1.1" 200 0 ' in line


@pytest.mark.parametrize("overrides", [{"admin_access_log": "off"}])
async def test_off_writes_nothing(admin: Client, tmp_path: Path) -> None:
    assert (await admin.get("/")).status == 200
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("overrides", [{"admin_access_log": "/proc/nowhere/a.log"}])
async def test_a_file_that_cant_be_opened_is_named_with_its_key(
    node: SmallNode, serve: Serve
) -> None:
    with pytest.raises(OSError, match=r"admin_access_log: /proc/nowhere/a\.log can't be opened: "):
        await serve(create_admin_app(node))


async def test_the_status_api_has_no_access_log(status_api: Client, path: Path) -> None:
    assert (await status_api.get("/status")).status == 200
    assert content(path) == ""


@pytest.mark.parametrize("overrides", [{"admin_error_log": "admin_error.log"}])
async def test_the_apis_part_of_the_log_goes_where_admin_error_log_says(
    admin: Client, tmp_path: Path
) -> None:
    await exchange(admin, b"nonsense\r\n\r\n")
    (line,) = await lines(tmp_path / "admin_error.log", 1)
    assert " warn admin not an HTTP request, answered 400 " in line


def test_a_pipe_that_nobody_reads_holds_up_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, filler = b"line\n", b"x" * (1 << 20)  # more than a pipe holds: the thread waits
    monkeypatch.setattr(access_log, "PENDING_BYTES_MAX", len(filler) + 5 * len(line))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(fifo))
    log.open()
    for piece in (filler, *[line] * 50):
        log.add(piece)
    os.set_blocking(reader, True)
    received = 0
    while received < len(filler) + 5 * len(line):
        received += len(os.read(reader, 1 << 16))
    log.close()
    os.set_blocking(reader, False)
    assert os.read(reader, 1) == b"", "what fits the bound is kept, the rest is dropped"
    os.close(reader)


async def test_lost_lines_are_counted_and_told_with_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.log"
    path.symlink_to("/dev/full")
    log = AccessLog(str(path))
    log.add(b"before it is open\n")
    log.open()
    log.add(b"disk full\n")
    log.close()
    assert caplog.records == []
    path.unlink()
    log.open()
    log.add(b"written\n")
    log.close()
    assert path.read_text() == "written\n"
    (record,) = caplog.records
    assert record.getMessage() == "the Admin API's access log has lost lines"
    assert record.fields == {"lines": 2}  # type: ignore[attr-defined]
