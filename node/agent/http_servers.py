"""The agent's own HTTP listeners: Admin API and status API."""

import ssl
from collections.abc import Sequence

from aiohttp import web

from node.admin.server import create_runner
from node.agent.sockets import bind_patiently
from node.config.listen import ListenAddress


class HttpServers:
    """aiohttp applications on listeners that answer from start to end of the node."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def serve(
        self,
        app: web.Application,
        listeners: Sequence[ListenAddress],
        *,
        key: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen on all of ``listeners`` (configuration key ``key``). Raises PortTaken."""
        runner = create_runner(app)
        await runner.setup()
        self._runners.append(runner)
        for listener in listeners:
            bound = bind_patiently(listener, key=key)
            context = tls if listener.ssl else None
            site = web.SockSite(runner, bound, ssl_context=context, backlog=listener.backlog)
            await site.start()

    async def close(self) -> None:
        """Stop listening, and end what is still being answered."""
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
