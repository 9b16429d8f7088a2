"""The files of Kong Manager, as its release has them, in a directory that we only read.

Its pages name their assets below ``/__km_base__/``, which stands for wherever it is served; Kong's
nginx replaces it in what it sends (templates/nginx_kong_gui_include.lua), and so is done here.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from blake3 import blake3

from node.admin.limits import GUI_FILE_BYTES_MAX, GUI_HELD_BYTES_MAX, GUI_PATH_CHARS_MAX

INDEX = "index.html"
_BASE = b"/__km_base__/"
_REWRITTEN = (".html", ".js", ".css", ".json", ".svg", ".map", ".webmanifest")
_ASSETS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".svg",
    ".ico",
    ".css",
    ".ttf",
    ".js",
    ".woff2",
    ".wasm",
)
"""Ends of names that are never a page of the application: one that is missing is missing."""


@dataclass(frozen=True, slots=True)
class Text:
    """A file as it is sent, with the base replaced."""

    body: bytes
    tag: str
    """Equal for equal bodies."""
    changed_at: float
    """Of the file, in Unix seconds."""


class GuiFiles:
    """What lies in ``folder``. All methods but ``exists`` wait for the disk."""

    def __init__(self, folder: Path, base: str) -> None:
        """``base`` is the path that it is served below, with a slash at its end."""
        self._folder = folder
        self._base = base.encode()
        self._held: dict[Path, tuple[tuple[int, int, int], Text]] = {}

    def exists(self) -> bool:
        """Whether there is a Kong Manager in the folder."""
        return (self._folder / INDEX).is_file()

    def find(self, path: str) -> Path | None:
        """The file for a path below the base, decoded; a page of the application's own making is
        its index. None when there is none, or when it lies outside of the folder."""
        found = self._inside(path)
        if found is None and not path.lower().endswith(_ASSETS):
            found = self._inside(INDEX)
        return found

    def _inside(self, path: str) -> Path | None:
        parts = path.split("/")
        if len(path) > GUI_PATH_CHARS_MAX or "\0" in path or "\\" in path:
            return None
        # Hidden files, ``.`` and ``..`` alike; what an empty part means differs by system.
        if any(part.startswith(".") or not part for part in parts):
            return None
        try:
            folder = self._folder.resolve(strict=True)
            found = folder.joinpath(*parts).resolve(strict=True)  # wherever links lead
        except (OSError, RuntimeError):
            return None
        return found if found.is_relative_to(folder) and found.is_file() else None

    def text(self, file: Path) -> Text | None:
        """A file whose content may name the base; None for others, which are sent as they are.

        Raises OSError.
        """
        if file.suffix.lower() not in _REWRITTEN:
            return None
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not S_ISREG(status.st_mode) or status.st_size > GUI_FILE_BYTES_MAX:
                return None
            state = (status.st_ino, status.st_mtime_ns, status.st_size)
            held = self._held.get(file)
            if held is not None and held[0] == state:
                return held[1]
            body = opened.read(GUI_FILE_BYTES_MAX).replace(_BASE, self._base)
        text = Text(body, blake3(body).hexdigest(16), status.st_mtime)
        self._hold(file, state, text)
        return text

    def _hold(self, file: Path, state: tuple[int, int, int], text: Text) -> None:
        """Answers that are slowly read share what is held: memory is bounded by the files' size."""
        self._held.pop(file, None)
        if sum(len(held.body) for _, held in self._held.values()) + len(text.body) > (
            GUI_HELD_BYTES_MAX
        ):
            self._held.clear()
        self._held[file] = state, text
