"""An upstream that says what arrived, streams as much as it is asked for, and waits on command."""

import asyncio
import hashlib

from aiohttp import web

HOST = "127.0.0.1"
PIECE = bytes(range(256)) * 256
"""64 KiB that no compression or off-by-one hides in."""


class Upstream:
    """An HTTP server on any free loopback port.

    ``/bytes/N`` answers N MiB with their length, ``/chunks/N`` without; ``/digest`` answers the
    size and SHA-256 of the request's body; ``/wait`` answers once ``release`` is set; anything else
    answers the request's headers.
    """

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.release = asyncio.Event()
        self.requests = 0
        self.port = 0
        app = web.Application()
        app.router.add_get("/bytes/{mib}", self._bytes)
        app.router.add_get("/chunks/{mib}", self._chunks)
        app.router.add_post("/digest", self._digest)
        app.router.add_get("/wait", self._wait)
        app.router.add_route("*", "/{path:.*}", self._headers)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.release.set()
        await self._runner.cleanup()

    async def _headers(self, request: web.Request) -> web.Response:
        self.requests += 1
        await request.read()
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = int(request.match_info["mib"]) * 2**20
        return await _stream(request, response)

    async def _chunks(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        return await _stream(request, response)

    async def _digest(self, request: web.Request) -> web.Response:
        self.requests += 1
        digest, size = hashlib.sha256(), 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        return web.json_response({"bytes": size, "sha256": digest.hexdigest()})

    async def _wait(self, _: web.Request) -> web.Response:
        self.waiting.set()
        await self.release.wait()
        return web.Response(text="at last")


async def _stream(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    await response.prepare(request)
    for _ in range(int(request.match_info["mib"]) * 2**20 // len(PIECE)):
        await response.write(PIECE)
    await response.write_eof()
    return response


def digest_of(mib: int) -> str:
    """SHA-256 of what ``/bytes/N`` answers."""
    digest = hashlib.sha256()
    for _ in range(mib * 2**20 // len(PIECE)):
        digest.update(PIECE)
    return digest.hexdigest()
