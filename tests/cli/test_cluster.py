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
        self._answer(self.path)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(f"POST {self.path} {body.decode()}".rstrip())

    def do_DELETE(self) -> None:
        self._answer(f"DELETE {self.path}")

    def _answer(self, question: str) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append((question, dict(self.headers)))
        status, body = server.answers.get(question, (404, b'{"message":"Not found"}'))
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


def test_what_became_of_the_nodes_identity_is_a_warning(server: Server) -> None:
    answer = {"data": MEMBERS, "total": 2, "notices": ["goes on as gw1~89ab\x1b[31m"]}
    server.answers["/cluster"] = (200, json.dumps(answer).encode())
    result = cluster("members", admin_listen=server.listener)
    assert result.exit_code == 0
    assert result.stderr == "warning: goes on as gw1~89ab\\x1b[31m\n"


def test_reachability_is_of_the_others(server: Server) -> None:
    peer = {**MEMBERS[1], "name": "gw2", "path": "tcp", "heard": 1.26}
    server.answers["/cluster"] = (200, json.dumps({"data": [MEMBERS[0], peer]}).encode())
    result = cluster("reachability", admin_listen=server.listener)
    assert result.exit_code == 0
    assert [line.split(maxsplit=5) for line in result.output.splitlines()] == [
        ["name", "address", "status", "path", "rtt", "heard"],
        ["gw2", "[::1]:8105", "suspect", "tcp", "1.2ms", "1.3s ago"],
    ]
    listed = json.loads(cluster("reachability", "--json", admin_listen=server.listener).output)
    assert listed["total"] == 1
    assert listed["data"] == [
        {key: peer.get(key) for key in ("name", "address", "status", "path", "rtt", "heard")}
    ]


def test_a_node_that_tells_no_path_yet_shows_none(server: Server) -> None:
    server.answers["/cluster"] = (200, json.dumps({"data": [MEMBERS[0], {"name": "x"}]}).encode())
    result = cluster("reachability", admin_listen=server.listener)
    assert result.output.splitlines()[1].split() == ["x", "-", "-", "-", "-", "-"]


def test_join_asks_for_each_address(server: Server) -> None:
    for address in ("10.0.0.2:8005", "gw3"):
        question = f'POST /cluster {{"address": "{address}"}}'
        server.answers[question] = (202, f'{{"message": "joining {address}"}}'.encode())
    result = cluster("join", "10.0.0.2:8005", "gw3", admin_listen=server.listener)
    assert result.exit_code == 0
    assert result.output == "joining 10.0.0.2:8005\njoining gw3\n"


def test_a_join_that_is_refused_is_exit_code_1(server: Server) -> None:
    server.answers['POST /cluster {"address": ":1"}'] = (400, b'{"message": "address: bad"}')
    result = cluster("join", ":1", admin_listen=server.listener)
    assert result.exit_code == 1
    assert "with 400: address: bad" in result.stderr


def test_join_wants_an_address() -> None:
    assert cluster("join", admin_listen="off").exit_code == 2


def test_force_leave_names_the_member_in_the_path(server: Server) -> None:
    server.answers["DELETE /cluster/nodes/gw%2F2"] = (204, b"")
    result = cluster("force-leave", "gw/2", admin_listen=server.listener)
    assert (result.exit_code, result.output) == (0, "gw/2 was forced out\n")


@pytest.mark.parametrize(("status", "reason"), [(404, "No member named 'x'"), (409, "itself")])
def test_a_force_leave_that_is_refused_is_exit_code_1(
    status: int, reason: str, server: Server
) -> None:
    answer = json.dumps({"message": reason}).encode()
    server.answers["DELETE /cluster/nodes/x"] = (status, answer)
    result = cluster("force-leave", "x", admin_listen=server.listener)
    assert result.exit_code == 1
    assert f"with {status}: {reason}" in result.stderr


def test_leave_says_what_the_node_says(server: Server) -> None:
    server.answers["POST /cluster/leave"] = (202, b'{"message": "gw1 leaves"}')
    result = cluster("leave", admin_listen=server.listener)
    assert (result.exit_code, result.output) == (0, "gw1 leaves\n")


def test_members_as_json_are_what_the_node_answers(server: Server) -> None:
    server.answers["/cluster"] = (200, json.dumps({"data": MEMBERS, "total": 2}).encode())
    result = cluster("members", "--json", admin_listen=server.listener)
    assert json.loads(result.output) == {"data": MEMBERS, "total": 2}


def test_revision_is_one_word(server: Server) -> None:
    server.answers["/cluster/revision"] = (200, b'{"revision": "1.12"}')
    result = cluster("revision", admin_listen=server.listener)
    assert (result.exit_code, result.output) == (0, "1.12\n")


def fence(server: Server, status: int, answer: object, *words: str) -> Result:
    question = "/cluster/revision?fence=1.42&timeout=2"
    server.answers[question] = (status, json.dumps(answer).encode())
    return cluster("fence", "1.42", *words, admin_listen=server.listener)


def test_a_revision_that_is_everywhere_is_exit_code_0(server: Server) -> None:
    result = fence(server, 200, {"revision": "1.42", "complete": True, "members": 3})
    assert (result.exit_code, result.output) == (0, "1.42: all 3 members serve it\n")


PARTIAL = {
    "revision": "1.42",
    "complete": False,
    "members": 9,
    "missing": ["gw2", "gw3\x1b[31m"],
    "missing_total": 5,
    "unreachable": ["gw4"],
    "unreachable_total": 1,
}


def test_one_that_some_lack_is_exit_code_1_and_says_who(server: Server) -> None:
    result = fence(server, 202, PARTIAL)
    assert (result.exit_code, result.stdout) == (1, "")
    told = "missing: gw2, gw3\\x1b[31m and 3 more; unreachable: gw4"
    assert f"1.42 isn't everywhere: {told}" in result.stderr


def test_a_fence_as_json_is_what_the_node_answers(server: Server) -> None:
    result = fence(server, 202, PARTIAL, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == PARTIAL


def test_a_fence_of_a_node_that_can_ask_nobody_says_so(server: Server) -> None:
    nobody = {"missing": [], "missing_total": 0, "unreachable": [], "unreachable_total": 0}
    result = fence(server, 202, {"revision": "1.42", "complete": False, "members": 0, **nobody})
    assert result.exit_code == 1
    assert "takes no part in the cluster" in result.stderr


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (409, {"message": "revision 1.42 is no part"}, "with 409: revision 1.42 is no part"),
        (200, {"revision": "1.42"}, "tells of no fence"),
        (200, [], "tells of no fence"),
    ],
)
def test_a_fence_that_is_answered_otherwise_is_exit_code_1(
    status: int, answer: object, reason: str, server: Server
) -> None:
    result = fence(server, status, answer)
    assert result.exit_code == 1
    assert reason in result.stderr


@pytest.mark.parametrize(
    "words",
    [(), ("all",), ("1",), ("1.42-zz",), ("1.42", "--timeout", "0"), ("1.42", "--timeout", "61")],
)
def test_what_is_no_fence_is_exit_code_2(words: tuple[str, ...]) -> None:
    assert cluster("fence", *words, admin_listen="off").exit_code == 2


def test_a_fence_names_the_tag_and_the_time(server: Server) -> None:
    question = "/cluster/revision?fence=2.1-0123abcd&timeout=0.25"
    answer = {"revision": "2.1-0123abcd", "complete": True, "members": 1}
    server.answers[question] = (200, json.dumps(answer).encode())
    words = ("2.1-0123abcd", "--timeout", "0.25")
    assert cluster("fence", *words, admin_listen=server.listener).exit_code == 0


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


@pytest.mark.parametrize(
    ("words", "input", "body"),
    [
        (("--key", "consumers:c1"), "", '{"key": "consumers:c1"}'),
        (("--key", "-"), "consumers:c1\n", '{"key": "consumers:c1"}'),
        (("--tag", "mobile"), "", '{"tag": "mobile"}'),
    ],
)
def test_invalidate_says_which_purge_is_under_way(
    server: Server, words: tuple[str, ...], input: str, body: str
) -> None:
    answer = json.dumps({"origin": "a\x1b[31m", "sequence": 4}).encode()
    server.answers[f"POST /cluster/invalidate {body}"] = (202, answer)
    words = ("cluster", "invalidate", *words, "--set", f"admin_listen={server.listener}")
    result = CliRunner().invoke(main, words, input=input, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output == "purge 4 of a\\x1b[31m is under way to every node\n"


@pytest.mark.parametrize("words", [(), ("--key", "a", "--tag", "b")])
def test_invalidate_takes_exactly_one_of_key_and_tag(server: Server, words: tuple[str]) -> None:
    result = cluster("invalidate", *words, admin_listen=server.listener)
    assert result.exit_code == 2
    assert "exactly one of --key and --tag" in result.stderr
    assert server.asked == []


def test_an_answer_that_names_no_purge_is_said_to_be_none(server: Server) -> None:
    server.answers['POST /cluster/invalidate {"tag": "x"}'] = (200, b'{"message": "hi"}')
    result = cluster("invalidate", "--tag", "x", admin_listen=server.listener)
    assert result.exit_code == 1
    assert "names no purge" in result.stderr
