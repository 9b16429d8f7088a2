"""An HTTP client for the APIs under test: one call, and the whole answer as a value."""

import json
from typing import Any, NamedTuple

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL


class Answer(NamedTuple):
    """One answer, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body)

    @property
    def message(self) -> str:
        text: str = self.json["message"]
        return text


class Client:
    """Calls one API at its base URL."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """``options`` are those of aiohttp: json, data, headers, … ``path`` is sent as it is."""
        url = URL(self.base + path, encoded=True)
        async with self.session.request(method, url, **options) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        return await self.call("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Answer:
        return await self.call("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> Answer:
        return await self.call("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.call("DELETE", path, **options)

    async def make_service(self, name: str, **fields: Any) -> dict[str, Any]:
        """A service, created by POST."""
        answer = await self.post("/services", json={"name": name, "host": "h.test", **fields})
        assert answer.status == 201, answer
        created: dict[str, Any] = answer.json
        return created
