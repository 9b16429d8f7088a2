"""The sample upstream: says what it was asked and how it was reached."""

import socket

from aiohttp import web

from node.demo.ports import HOST

BODY_BYTES_MAX = 1024 * 1024


async def _answer(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "hello": "from the sample upstream",
            "method": request.method,
            "path": request.path_qs,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body_bytes": len(body),
        }
    )


class SampleUpstream:
    """An HTTP server on any free loopback port."""

    def __init__(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", _answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]

    async def start(self) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._socket.close()
