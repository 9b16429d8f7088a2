"""``admin_gui_listen``: serves Kong Manager from a directory that the operator has filled.

Paths, headers and what is cached are those of Kong's nginx (nginx_kong_gui_include.lua), but that
pages and scripts have an ETag, so that a new release is seen at the next look.
"""

import asyncio
from email.utils import formatdate
from html import escape
from mimetypes import MimeTypes
from pathlib import Path

from aiohttp import web

from node import logs
from node.admin.errors import answer_errors
from node.admin.guard import bound_requests
from node.admin.gui_config import kconfig
from node.admin.gui_files import GuiFiles, Text
from node.config.settings import Settings

log = logs.get("gui")

METHODS = ("GET", "HEAD")
_HEADERS = {
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "X-Frame-Options": "sameorigin",
    "X-XSS-Protection": "1; mode=block",
    "X-Content-Type-Options": "nosniff",
    "X-Permitted-Cross-Domain-Policies": "master-only",
}
_HASHED = "assets/"
"""Vite puts a hash of the content into the name of whatever it puts here."""
_FOR_GOOD = "public, max-age=7776000, immutable"  # Kong's 90 days
_ASK_FIRST = "no-cache"
_TYPES = MimeTypes()  # the machine's own list may say anything
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("application/wasm", ".wasm")
_TYPES.add_type("font/woff2", ".woff2")

_HINT = """<!doctype html>
<title>Kong Manager is not here</title>
<h1>Kong Manager is not here</h1>
<p>{problem}</p>
<p>Put the files of a release of Kong Manager (open source, Apache-2.0) into a directory of this
machine and name it in <code>admin_gui_path_dir</code>; docs/kong-manager.md says how. The Admin API
does not need it.</p>
"""


def create_gui_app(settings: Settings, server: str) -> web.Application:
    """Kong Manager at ``admin_gui_path``; ``server`` is what the Server header says."""
    app = web.Application(middlewares=[answer_errors, bound_requests()])
    gui = Gui(settings, server)
    app.router.add_route("*", "/{path:.*}", gui.answer)
    if settings.admin_gui_listen and gui.problem():
        log.warning("Kong Manager is not served", reason=gui.problem())
    return app


class Gui:
    """Answers each request of the GUI's listeners."""

    def __init__(self, settings: Settings, server: str) -> None:
        self._base = settings.admin_gui_path.rstrip("/") + "/"
        self._folder = settings.admin_gui_path_dir
        self._files = None if self._folder is None else GuiFiles(self._folder, self._base)
        self._kconfig = kconfig(settings)
        self._headers = {**_HEADERS, "Server": server}

    def problem(self) -> str:
        """Why there is nothing to serve; empty when there is."""
        if self._folder is None or self._files is None:
            return "admin_gui_path_dir is not set"
        if not self._files.exists():
            return f"admin_gui_path_dir = {self._folder}: there is no index.html"
        return ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request, whatever its path and method."""
        answer = await self._answer(request)
        answer.headers.update(self._headers)
        return answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.method not in METHODS:
            return web.Response(status=405, headers={"Allow": ", ".join(METHODS)})
        path = self._below_base(request.path)
        if path is None:
            return _not_found()
        if path == "kconfig.js":
            return _page(self._kconfig, "text/javascript")
        if path == "robots.txt":
            return _page(b"User-agent: *\nDisallow: /", "text/plain")
        if self._files is None or not await asyncio.to_thread(self._files.exists):
            hint = _HINT.format(problem=escape(self.problem()))
            return _page(hint.encode(), "text/html", status=404)
        file = await asyncio.to_thread(self._files.find, path)
        if file is None:
            return _not_found()
        return await self._send(request, self._files, file, path)

    def _below_base(self, path: str) -> str | None:
        if path + "/" == self._base:
            return ""
        return path.removeprefix(self._base) if path.startswith(self._base) else None

    async def _send(
        self, request: web.Request, files: GuiFiles, file: Path, path: str
    ) -> web.StreamResponse:
        kept = _FOR_GOOD if path.startswith(_HASHED) else _ASK_FIRST
        try:
            text = await asyncio.to_thread(files.text, file)
        except OSError:  # gone since it was found
            return _not_found()
        if text is None:
            answer = web.FileResponse(file, headers={"Cache-Control": kept})
            answer.content_type = _type_of(file)
            return answer
        return _text_answer(request, text, _type_of(file), kept)


def _text_answer(request: web.Request, text: Text, kind: str, kept: str) -> web.Response:
    headers = {
        "Cache-Control": kept,
        "ETag": f'"{text.tag}"',
        "Last-Modified": formatdate(text.changed_at, usegmt=True),
    }
    if _is_known(request, text):
        return web.Response(status=304, headers=headers)
    return web.Response(body=text.body, content_type=kind, charset="utf-8", headers=headers)


def _is_known(request: web.Request, text: Text) -> bool:
    """RFC 9110, section 13.2.2: the date counts only where no tag is given."""
    tags = request.if_none_match
    if tags is not None:
        return any(tag.value in (text.tag, "*") for tag in tags)
    since = request.if_modified_since
    return since is not None and int(text.changed_at) <= since.timestamp()


def _type_of(file: Path) -> str:
    return _TYPES.guess_type(file.name)[0] or "application/octet-stream"


def _page(body: bytes, kind: str, status: int = 200) -> web.Response:
    headers = {"Cache-Control": _ASK_FIRST}
    return web.Response(
        body=body, status=status, content_type=kind, charset="utf-8", headers=headers
    )


def _not_found() -> web.Response:
    return _page(b"Not found\n", "text/plain", status=404)
