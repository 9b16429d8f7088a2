"""Clients of a TLS listener that begin a handshake and leave it at that."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from tests.proxy.client import connected
from tests.proxy.conftest import Origin
from tests.proxy.process import everything
from tests.proxy.test_certificates import serving, trusting_all

LIMIT_SECONDS = 0.3
SOON_SECONDS = 8.0
"""Beyond it a busy machine may go, but less than the limit that is the default."""


def client_hello() -> bytes:
    """The first bytes of a handshake."""
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting_all().wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()


@pytest.mark.parametrize("part", ["nothing", "a part of its hello", "its hello"])
async def test_a_client_that_stalls_is_cut_off_and_nobody_else(
    tmp_path: Path, echo: Origin, part: str
) -> None:
    hello = client_hello()
    sent = {"nothing": b"", "a part of its hello": hello[:40], "its hello": hello}[part]
    async with (
        serving(tmp_path, *everything(echo.url), tls_handshake_seconds=LIMIT_SECONDS) as worker,
        connected(worker.port, tls=trusting_all()) as before,
        connected(worker.port) as stalled,
    ):
        stalled.send(sent)
        async with connected(worker.port, tls=trusting_all()) as beside:
            assert (await beside.get()).status == 200
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(SOON_SECONDS):
                    await stalled.reader.read()
            assert (await beside.get()).status == 200
        assert (await before.get()).status == 200
        await worker.counted("total_requests", 3)
        assert worker.stats["connections_accepted"] == 2
