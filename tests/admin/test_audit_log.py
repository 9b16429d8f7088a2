"""The line that the node's log has for each write: who, what, and how it ended."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import logs
from node.admin.limits import AUDIT_FIELD_CHARS_MAX
from node.logs import LINE_CHARS_MAX
from store.schema.parts import random_id
from tests.admin.client import Client
from tests.admin.small_node import SmallNode


@pytest.fixture(autouse=True)
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger().level
    path = tmp_path / "error.log"
    logs.configure("notice", str(path))
    yield path
    logs.configure("notice", "/dev/stderr")
    logging.getLogger().setLevel(root)


def content(log: Path) -> str:
    return log.read_text()


def lines(log: Path) -> list[dict[str, str]]:
    """The fields of each line, in order."""
    found = []
    for line in content(log).splitlines():
        assert " notice admin a write event=admin_write " in line
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)
        found.append({name: value.strip('"') for name, value in pairs})
    return found


async def test_each_write_is_one_line_that_says_who_what_and_how_it_ended(
    admin: Client, log: Path
) -> None:
    service = await admin.make_service("one")
    await admin.patch("/services/one", json={"host": "b.test"})
    await admin.delete("/services/one")
    known = {"event": "admin_write", "client": "127.0.0.1", "kind": "services"}
    named = {**known, "id": service["id"], "name": "one", "changes": "1"}
    assert lines(log) == [
        {**named, "method": "POST", "path": "/services", "status": "201", "revision": "1.1"},
        {**named, "method": "PATCH", "path": "/services/one", "status": "200", "revision": "1.2"},
        {**named, "method": "DELETE", "path": "/services/one", "status": "204", "revision": "1.3"},
    ]


async def test_what_goes_with_it_is_counted_and_what_changes_nothing_is_said(
    admin: Client, log: Path
) -> None:
    await admin.post("/consumers", json={"username": "bob"})
    await admin.post("/consumers/bob/acls", json={"group": "g"})
    await admin.delete("/consumers/bob")
    await admin.delete("/consumers/bob")
    told = [(line["kind"], line["changes"], line["revision"]) for line in lines(log)]
    assert told == [
        ("consumers", "1", "1.1"),
        ("acls", "1", "1.2"),
        ("consumers", "2", "1.3"),
        ("consumers", "0", "1.3"),
    ]


async def test_a_write_that_is_refused_is_logged_with_its_status(
    admin: Client, node: SmallNode, log: Path
) -> None:
    await admin.post("/services", json={"name": "one"})
    missing = random_id()
    await admin.patch(f"/services/{missing}", json={"host": "h"})
    await admin.post("/services", data=b"{", headers={"Content-Type": "application/json"})
    node.down = "no database"
    await admin.post("/services", json={"host": "h"})
    told = lines(log)
    assert [line["status"] for line in told] == ["400", "404", "400", "503"]
    assert told[1]["id"] == missing
    assert all("revision" not in line for line in told)


async def test_what_changes_nothing_and_what_is_no_path_leave_no_line(
    admin: Client, log: Path
) -> None:
    await admin.get("/services")
    await admin.call("OPTIONS", "/services")
    await admin.post("/nowhere")
    await admin.put("/services")
    await admin.post("/schemas/services/validate", json={"host": "h"})
    await admin.post("/config?dry_run=1", json={"_format_version": "3.0"})
    assert lines(log) == []


@pytest.mark.parametrize("overrides", [{"admin_token": "let-me-in-please-0001"}])
async def test_who_is_not_let_in_leaves_no_line_and_a_token_is_never_in_one(
    admin: Client, log: Path
) -> None:
    await admin.post("/services", json={"host": "h"})
    await admin.post("/services", json={"host": "h"}, headers={"Kong-Admin-Token": "wrong"})
    assert lines(log) == []
    headers = {"Kong-Admin-Token": "let-me-in-please-0001", "Origin": admin.base}
    await admin.post("/services?x=let-me-in-please-0001", json={"host": "h"}, headers=headers)
    (line,) = lines(log)
    assert (line["token"], line["origin"]) == ("yes", admin.base)
    assert "let-me-in-please-0001" not in content(log)


async def test_no_secret_and_no_query_is_in_a_line(admin: Client, log: Path) -> None:
    await admin.post("/consumers", json={"username": "bob"})
    await admin.post("/consumers/bob/key-auth?apikey=hidden", json={"key": "hidden"})
    await admin.patch("/key-auths/hidden", json={"tags": ["a"]})
    await admin.delete("/consumers/bob/key-auth/hidden")
    assert len(lines(log)) == 4
    assert "hidden" not in content(log)


async def test_a_document_is_one_line_with_the_number_of_its_changes(
    admin: Client, log: Path
) -> None:
    services = [{"name": f"s{number}", "host": "h"} for number in range(7)]
    await admin.post("/config", json={"_format_version": "3.0", "services": services})
    (line,) = lines(log)
    assert (line["path"], line["status"], line["changes"]) == ("/config", "201", "7")
    assert line["revision"] == "1.1"


async def test_what_is_no_entity_is_logged_too(admin: Client, log: Path) -> None:
    await admin.put("/debug/node/log-level/info")
    await admin.delete("/cache")
    assert [(line["method"], line["path"]) for line in lines(log)] == [
        ("PUT", "/debug/node/log-level/info"),
        ("DELETE", "/cache"),
    ]


@pytest.mark.parametrize("overrides", [{}, {"trusted_ips": "127.0.0.0/8"}])
async def test_only_a_trusted_peer_says_for_whom_it_writes(
    admin: Client, log: Path, overrides: dict[str, str]
) -> None:
    await admin.post("/services", json={"host": "h"}, headers={"X-Forwarded-For": "192.0.2.7"})
    (line,) = lines(log)
    assert line.get("forwarded_for") == ("192.0.2.7" if overrides else None)


async def test_a_line_is_bounded_and_cannot_be_forged(admin: Client, log: Path) -> None:
    await admin.patch(f"/services/{'x' * 4000}%0aevent=forged", json={})
    await admin.patch("/services/a%0a2026%20notice%20admin%20a%20write", json={})
    await admin.patch(f"/services/{'x' * 500}", json={})
    assert len(content(log).splitlines()) == 3
    longest, _, long = lines(log)
    assert len(longest["path"]) == AUDIT_FIELD_CHARS_MAX + 1
    assert len(long["path"]) == len(long["name"]) == AUDIT_FIELD_CHARS_MAX + 1
    assert all(len(line) < LINE_CHARS_MAX for line in content(log).splitlines())
