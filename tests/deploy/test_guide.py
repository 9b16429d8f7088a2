"""How the page's blocks are read and compared."""

from pathlib import Path

import pytest

from tests.deploy.guide import Commands, File, is_as_told, read


def test_blocks_become_steps_in_order(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh on a, b\ntrue\n```\n\n```text\ndone\n```\n```ini a:/etc/x.conf\nkey = 1\n```\n"
    )
    assert read(page) == [
        Commands(["a", "b"], "true\n", "done\n"),
        File("a", "/etc/x.conf", "key = 1\n"),
    ]


def test_a_block_that_no_machine_does_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n```\n")
    with pytest.raises(ValueError, match="is no step"):
        read(page)


@pytest.mark.parametrize(
    ("output", "told", "same"),
    [
        ("started\n", "started\n", True),
        ("started at 8001\n", "started at …\n", True),
        ("one\ntwo\nthree\n", "one\n…\nthree\n", True),
        ("one\nthree\n", "one\n…\nthree\n", True),
        ("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", "HTTP/1.1 200 OK\n…\n", True),
        ("HTTP/1.1 503 Service Unavailable\r\n", "HTTP/1.1 200 OK\n…\n", False),
        ("one\n", "one\ntwo\n", False),
        ("one\ntwo\n", "one\n", False),
        ("a.b\n", "a…c\n", False),
        ("waiting: no worker listens yet\r\nstarted\r\n", "started\n", True),
        ("started\nwaiting\n", "started\n", False),
    ],
)
def test_what_is_left_out_may_be_anything(output: str, told: str, same: bool) -> None:
    assert is_as_told(output, told) is same
