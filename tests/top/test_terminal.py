"""The terminal is as it was, however the view ends."""

import asyncio
import re
import signal
import sys
import termios
from collections.abc import AsyncIterator

import pytest

from tests.top.terminals import TestedTerminal

SHOWING = (sys.executable, "-P", "-m", "tests.top.showing")
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture
async def terminal() -> AsyncIterator[TestedTerminal]:
    made = TestedTerminal()
    await made.start(*SHOWING)
    yield made
    await made.close()


async def shown(terminal: TestedTerminal) -> None:
    """Wait for the view; keys come one by one and unseen by then."""
    await terminal.until_frame("node1 serving")
    local = terminal.attributes()[3]
    assert not local & termios.ICANON
    assert not local & termios.ECHO


def restored(terminal: TestedTerminal) -> None:
    assert terminal.attributes() == terminal.before
    assert terminal.text.count(ENTERED) == terminal.text.count(LEFT) > 0
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert terminal.text.rindex("\x1b[?7h") > terminal.text.rindex("\x1b[?7l")


async def test_q_quits_and_restores_the_terminal(terminal: TestedTerminal) -> None:
    await shown(terminal)
    terminal.press("k")
    await terminal.until_frame(r"\['k'\]")
    terminal.press("\x1b[Aq")
    assert await terminal.end() == 0
    restored(terminal)
    assert "view ended: well" in terminal.after()


async def test_a_crash_restores_the_terminal_before_anything_is_said(
    terminal: TestedTerminal,
) -> None:
    await shown(terminal)
    terminal.press("x")
    assert await terminal.end() == 0
    restored(terminal)
    assert "view ended: RuntimeError: a crash on purpose" in terminal.after()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_a_signal_restores_the_terminal(
    terminal: TestedTerminal, number: signal.Signals
) -> None:
    await shown(terminal)
    terminal.process.send_signal(number)
    assert await terminal.end() == 0
    restored(terminal)


async def test_ctrl_c_restores_the_terminal(terminal: TestedTerminal) -> None:
    await shown(terminal)
    terminal.press("\x03")
    assert await terminal.end() == 0
    restored(terminal)


async def test_a_stop_leaves_the_terminal_to_others_and_going_on_draws_anew(
    terminal: TestedTerminal,
) -> None:
    await shown(terminal)
    terminal.press("\x1a")
    await terminal.until_stopped()
    await terminal.until_text(re.escape(LEFT))
    restored(terminal)
    terminal.process.send_signal(signal.SIGCONT)
    await terminal.until_attributes(False)
    terminal.press("q")
    assert await terminal.end() == 0
    restored(terminal)
    assert terminal.text.count(ENTERED) >= 2


async def test_the_picture_follows_the_size_of_the_window(terminal: TestedTerminal) -> None:
    await shown(terminal)
    assert len(terminal.frame().split("\n")) == 24
    terminal.resize(10, 40)
    async with asyncio.timeout(40):
        while len(terminal.frame().split("\n")) != 10:
            await asyncio.sleep(0.02)
    assert max(map(len, terminal.frame().split("\n"))) <= 40


async def test_a_picture_that_stands_already_is_not_sent_again(terminal: TestedTerminal) -> None:
    await shown(terminal)
    terminal.press("k")
    await terminal.until_frame(r"\['k'\]")
    terminal.press("kk")
    await terminal.until_frame(r"\['k', 'k', 'k'\]")
    assert terminal.text.count("\x1b[J") <= 4
