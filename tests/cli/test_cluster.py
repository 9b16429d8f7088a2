"""``grapevine cluster``, asking a real HTTP server in the Admin API's place."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli import main

MEMBERS = [
    {
        "id": "a",
        "name": "gw1",
        "address": "127.0.0.1:8005",
        "status": "alive",
        "role": "traditional",
        "version": "0.1.0",
        "zone": "",
        "incarnation": 1,
        "revision": "1.12",
        "rtt": None,
    },
    {"name": "gw2\x1b[31m", "address": "[::1]:8105", "status": "suspect", "rtt": 0.0012},
]


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers what the server was told to, and remembers what it was asked."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append((self.path, dict(self.headers)))
        status, body = server.answers.get(self.path, (404, b'{"message":"Not found"}'))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the test's stderr."""


class Server(http.server.ThreadingHTTPServer):
    """A stand-in for a node's Admin API."""

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Answers)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def listener(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cluster(*words: str, admin_listen: str) -> Result:
    words = ("cluster", *words, "--set", f"admin_listen={admin_listen}")
    return CliRunner().invoke(main, words, catch_exceptions=False)


def test_members_are_an_aligned_table_without_control_characters(server: Server) -> None:
    server.answers["/cluster"] = (200, json.dumps({"data": MEMBERS, "total": 2}).encode())
    result = cluster("members", admin_listen=server.listener)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "name         address         status   role         version  revision  rtt",
        "gw1          127.0.0.1:8005  alive    traditional  0.1.0    1.12      -",
        r"gw2\x1b[31m  [::1]:8105      suspect  -            -        -         1.2ms",
    ]


def test_members_as_json_are_what_the_node_answers(server: Server) -> None:
    server.answers["/cluster"] = (200, json.dumps({"data": MEMBERS, "total": 2}).encode())
    result = cluster("members", "--json", admin_listen=server.listener)
    assert json.loads(result.output) == {"data": MEMBERS, "total": 2}


def test_revision_is_one_word(server: Server) -> None:
    server.answers["/cluster/revision"] = (200, b'{"revision": "1.12"}')
    result = cluster("revision", admin_listen=server.listener)
    assert (result.exit_code, result.output) == (0, "1.12\n")


def test_admin_url_is_asked_instead_and_the_token_goes_along(server: Server) -> None:
    server.answers["/cluster/revision"] = (200, b'{"revision": "1.12"}')
    words = ("--admin-url", f"http://{server.listener}", "--set", f"admin_token={'t' * 16}")
    assert cluster("revision", *words, admin_listen="off").exit_code == 0
    ((path, headers),) = server.asked
    assert path == "/cluster/revision"
    assert headers["Kong-Admin-Token"] == "t" * 16
    assert headers["Host"] == server.listener


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"<html>", "with 200 and no JSON; is it an Admin API?"),
        (200, b"[]", "holds no list of members"),
        (200, b'{"data": [1]}', "holds no list of members"),
        (401, b'{"message":"Unauthorized"}', "with 401: Unauthorized"),
        (503, b'["no"]', "with 503: no message"),
        (200, b"[" * 200_000, "no JSON"),
    ],
)
def test_an_answer_that_is_none_is_exit_code_1(
    status: int, body: bytes, reason: str, server: Server
) -> None:
    server.answers["/cluster"] = (status, body)
    result = cluster("members", admin_listen=server.listener)
    assert result.exit_code == 1
    assert reason in result.stderr


def test_no_node_there_is_exit_code_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = cluster("members", admin_listen=f"127.0.0.1:{port}")
    assert result.exit_code == 3
    assert f"no Admin API answers at 127.0.0.1:{port}" in result.stderr
    assert "is the node running?" in result.stderr


def test_something_that_speaks_no_http_is_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"garbage\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        result = cluster("members", admin_listen=f"127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
    assert result.exit_code == 1
    assert "answers no HTTP" in result.stderr


def test_without_an_admin_listener_another_must_be_named() -> None:
    result = cluster("members", admin_listen="off")
    assert result.exit_code == 1
    assert "name another node's Admin API with --admin-url" in result.stderr


@pytest.mark.parametrize("url", ["ftp://x:1", "http://::1:80", "http://user@x:1", "http://x:99999"])
def test_an_admin_url_that_is_none_is_named(url: str) -> None:
    result = cluster("members", "--admin-url", url, admin_listen="off")
    assert result.exit_code == 1
    assert f"--admin-url = '{url}'" in result.stderr
