"""``grapevine top`` without a terminal, and with nobody to ask."""

import asyncio
import signal
import socket

from tests.system.processes import end_all, grapevine


def silent_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_without_a_terminal_it_says_who_does_not_answer_and_ends_on_term() -> None:
    address = f"127.0.0.1:{silent_port()}"
    top = await grapevine("top", "--admin-url", f"http://{address}")
    try:
        await top.until_output(rf"{address}: .*refused|{address}: .*connect")
        top.process.send_signal(signal.SIGTERM)
        assert await top.end() == 0
        assert "\x1b" not in top.output
    finally:
        await end_all()


async def test_an_address_that_is_none_is_refused_at_once() -> None:
    top = await grapevine("top", "--admin-url", "ftp://127.0.0.1")
    async with asyncio.timeout(60):
        assert await top.end() == 1
    assert "is no URL" in top.output
