"""``grapevine demo`` and ``grapevine top`` on a terminal."""

import signal
import sys
from collections.abc import AsyncIterator

import pytest

from node.demo.ports import taken_port
from tests.system.conftest import free_base
from tests.top.terminals import TestedTerminal

GRAPEVINE = (sys.executable, "-P", "-m", "node")


@pytest.fixture
async def terminal() -> AsyncIterator[TestedTerminal]:
    made = TestedTerminal()
    yield made
    await made.close()


@pytest.fixture
async def other() -> AsyncIterator[TestedTerminal]:
    made = TestedTerminal()
    yield made
    await made.close()


@pytest.mark.long
async def test_the_keys_of_the_demo_do_what_they_say(
    terminal: TestedTerminal, other: TestedTerminal
) -> None:
    base = free_base(3)
    await terminal.start(*GRAPEVINE, "demo", "--base-port", str(base))
    await terminal.until_frame(r"node3 serving alive 3/3 +1\.2 ", seconds=60)

    terminal.press("c")
    await terminal.until_frame(r"routed: revision 1\.3 through node3")
    for number in (1, 2, 3):
        await terminal.until_frame(rf"node{number} serving alive 3/3 +1\.3 +0 .* [0-9.]+ +\S+\n")

    terminal.press("k")
    await terminal.until_frame(r"> node3 ended +failed 2/2")
    terminal.press("r")
    await terminal.until_frame(r"> node3 serving alive 3/3", seconds=60)
    await terminal.until_frame(r"node3 serves again", seconds=60)

    terminal.press("p")
    await terminal.until_frame(r"node3 B +serving failed 2/3", seconds=60)
    terminal.press("p")
    await terminal.until_frame(r"node3 serving alive 3/3", seconds=60)

    urls = [f"--admin-url=http://127.0.0.1:{base + port}" for port in (1, 101)]
    await other.start(*GRAPEVINE, "top", *urls)
    await other.until_frame(r"node1 serving +alive 2/2 +1\.3 +0")
    await other.until_frame(r"node2 serving +alive 2/2 +1\.3 +0")
    await other.until_frame(r"node3 not asked +alive 2/2 +1\.3 +0 +- +-")
    other.press("q")
    assert await other.end() == 0
    assert other.attributes() == other.before

    terminal.press("q")
    assert await terminal.end() == 0
    assert terminal.attributes() == terminal.before
    assert "All nodes have stopped." in terminal.after()
    assert taken_port(base, 3) is None


async def test_a_signal_ends_the_demo_and_gives_the_terminal_back(
    terminal: TestedTerminal,
) -> None:
    base = free_base(1)
    await terminal.start(*GRAPEVINE, "demo", "--nodes", "1", "--base-port", str(base))
    await terminal.until_frame(r"node1 serving alive 1/1", seconds=60)
    terminal.process.send_signal(signal.SIGTERM)
    assert await terminal.end() == 0
    assert terminal.attributes() == terminal.before
    assert "All nodes have stopped." in terminal.after()
    assert taken_port(base, 1) is None


async def test_a_plain_demo_on_a_terminal_draws_nothing(terminal: TestedTerminal) -> None:
    base = free_base(1)
    await terminal.start(*GRAPEVINE, "demo", "--nodes", "1", "--base-port", str(base), "--plain")
    await terminal.until_text(r"member  node1 is alive", seconds=60)
    terminal.press("\x03")
    assert await terminal.end() == 0
    assert "\x1b" not in terminal.text
