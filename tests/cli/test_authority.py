"""``grapevine cluster authority``, asking a real HTTP server in the Admin API's place."""

import json
from collections.abc import Mapping
from typing import Any

from click.testing import CliRunner, Result

from node.cli import main
from tests.cli.test_cluster import Server, server

__all__ = ["server"]

HEAD = {"revision": "1.12", "tag": "00000000000000ab", "digest": "ab" * 32}
ANSWER: dict[str, Any] = {
    "id": "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a",
    "reachable": True,
    "reason": "",
    "server": "10.0.0.1:5432",
    "timeline": 1,
    "head": HEAD,
    "confirmed": HEAD,
    "split": None,
    "changed": None,
    "abandoned": [],
}
OTHER = {"server": "10.0.0.2:5432\x1b[31m", "timeline": 2, "head": {**HEAD, "revision": "2.13"}}


def authority(*words: str, admin_listen: str, typed: str | None = None) -> Result:
    words = ("cluster", "authority", *words, "--set", f"admin_listen={admin_listen}")
    return CliRunner().invoke(main, words, catch_exceptions=False, input=typed)


def status(server: Server, changes: Mapping[str, Any]) -> list[str]:
    answer = {**ANSWER, **changes}
    server.answers["/cluster/authority"] = (200, json.dumps(answer).encode())
    result = authority("status", admin_listen=server.listener)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_the_server_and_both_heads_are_told(server: Server) -> None:
    assert status(server, {}) == [
        "authority  5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a",
        "server     10.0.0.1:5432 (timeline 1)",
        "head       1.12 abababababababab",
        "confirmed  1.12 abababababababab",
    ]


def test_a_split_and_what_was_abandoned_are_told_without_control_characters(
    server: Server,
) -> None:
    lines = status(
        server,
        {"split": {"writes": "refused", "other": OTHER}, "abandoned": ["/p/abandoned/x.jsonl"]},
    )
    assert lines[4:] == [
        "split      writes are refused here; the other is 10.0.0.2:5432\\x1b[31m (timeline 2), at"
        " 2.13 abababababababab",
        "abandoned  /p/abandoned/x.jsonl",
    ]


def test_an_authority_that_is_away_or_another_one_is_told(server: Server) -> None:
    lines = status(
        server,
        {
            "head": None,
            "server": None,
            "reachable": False,
            "reason": "authority changed: …",
            "changed": {"serves": "a", "found": "b"},
        },
    )
    assert lines[1:] == [
        "confirmed  1.12 abababababababab",
        "away       authority changed: …",
        "changed    serves a, found b",
    ]


def test_what_is_no_such_answer_is_a_failure(server: Server) -> None:
    server.answers["/cluster/authority"] = (200, b'{"message": "hello"}')
    result = authority("status", admin_listen=server.listener)
    assert result.exit_code == 1
    assert "is this a Grapevine node?" in result.stderr


def test_a_side_is_adopted_after_a_question(server: Server) -> None:
    server.answers["POST /cluster/authority/adopt"] = (200, b'{"message": "raised to 2.13"}')
    result = authority("adopt", admin_listen=server.listener, typed="n\n")
    assert result.exit_code != 0
    assert server.asked == []
    result = authority("adopt", "--yes", admin_listen=server.listener)
    assert (result.exit_code, result.output) == (0, "raised to 2.13\n")


def test_a_refusal_is_exit_code_1(server: Server) -> None:
    answer = b'{"message": "there is nothing to adopt"}'
    server.answers["POST /cluster/authority/adopt"] = (409, answer)
    result = authority("adopt", "--yes", admin_listen=server.listener)
    assert result.exit_code == 1
    assert "with 409: there is nothing to adopt" in result.stderr
