"""Kong Manager from a directory: its files and nothing else, as a browser wants them."""

import json
import os
from email.utils import formatdate
from pathlib import Path

import pytest

from node.admin.gui import create_gui_app
from node.config.settings import Settings
from tests.admin.client import Client
from tests.admin.conftest import Serve

PAGE = '<!doctype html><script src="/__km_base__/assets/app-1f2e.js"></script>'
FILES = {
    "index.html": PAGE,
    "favicon.ico": "icon",
    "assets/app-1f2e.js": 'import "/__km_base__/assets/lib-3a4b.js"; "/__km_base__/"',
    "assets/font.woff2": "/__km_base__/",
    "docs/page.html": "a page",
    ".hidden": "a secret",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "manager"
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp_path / "outside.html").write_text("outside")
    return folder


@pytest.fixture
def overrides(folder: Path) -> dict[str, str]:
    return {"admin_gui_listen": "127.0.0.1:8002", "admin_gui_path_dir": str(folder)}


@pytest.fixture
async def gui(settings: Settings, serve: Serve) -> Client:
    return await serve(create_gui_app(settings, "grapevine/0.1.0"))


async def test_the_root_is_the_index_with_its_base_put_in(gui: Client) -> None:
    answer = await gui.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.body.decode() == PAGE.replace("/__km_base__/", "/")
    assert answer.headers["Server"] == "grapevine/0.1.0"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "sameorigin"


@pytest.mark.parametrize("path", ["/services", "/services/create", "/default/routes/x.y", "//"])
async def test_pages_of_the_application_are_the_index(gui: Client, path: str) -> None:
    answer = await gui.get(path)
    assert (answer.status, answer.body) == (200, (await gui.get("/")).body)
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_files_are_what_they_are(gui: Client) -> None:
    script = await gui.get("/assets/app-1f2e.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.body == b'import "/assets/lib-3a4b.js"; "/"'
    assert script.headers["Cache-Control"] == "public, max-age=7776000, immutable"
    font = await gui.get("/assets/font.woff2")
    assert (font.headers["Content-Type"], font.body) == ("font/woff2", b"/__km_base__/")
    assert (await gui.get("/favicon.ico")).body == b"icon"
    assert (await gui.get("/docs/page.html")).body == b"a page"
    assert (await gui.get("/robots.txt")).body == b"User-agent: *\nDisallow: /"


@pytest.mark.parametrize("path", ["/assets/gone.js", "/gone.css", "/x/logo.PNG", "/gone.woff2"])
async def test_an_asset_that_is_missing_is_404(gui: Client, path: str) -> None:
    assert (await gui.get(path)).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.html",
        "/assets/../../outside.html",
        "/%2e%2e/outside.html",
        "/assets/%2e%2e/%2e%2e/outside.html",
        "/..%2foutside.html",
        "/assets/..%5c..%5coutside.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/index.html%00.js",
        "/.hidden",
        "/link.html",
        "/linked/outside.html",
        "/" + "a" * 2_000,
    ],
)
async def test_nothing_outside_of_the_directory_is_served(
    gui: Client, folder: Path, path: str
) -> None:
    (folder / "link.html").symlink_to(folder.parent / "outside.html")
    (folder / "linked").symlink_to(folder.parent)
    answer = await gui.get(path)
    index = (await gui.get("/")).body
    assert answer.status in (200, 404)
    assert answer.status == 404 or answer.body == index


async def test_a_link_within_the_directory_is_followed(gui: Client, folder: Path) -> None:
    (folder / "link.html").symlink_to(folder / "docs" / "page.html")
    assert (await gui.get("/link.html")).body == b"a page"


async def test_neither_a_folder_nor_a_pipe_is_a_file(gui: Client, folder: Path) -> None:
    os.mkfifo(folder / "pipe.js")
    assert (await gui.get("/pipe.js")).status == 404
    assert (await gui.get("/docs")).body == (await gui.get("/")).body


async def test_head_answers_as_get_without_the_body(gui: Client) -> None:
    for path in ("/", "/favicon.ico", "/kconfig.js", "/gone.js"):
        got, headed = await gui.get(path), await gui.call("HEAD", path)
        assert (headed.status, headed.body) == (got.status, b"")
        for name in ("Content-Length", "Content-Type", "Cache-Control"):
            assert headed.headers[name] == got.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(gui: Client, method: str) -> None:
    answer = await gui.call(method, "/")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/assets/app-1f2e.js", "/favicon.ico"])
async def test_what_a_browser_has_is_not_sent_again(gui: Client, folder: Path, path: str) -> None:
    file = folder / (path.strip("/") or "index.html")
    first = await gui.get(path)
    for header, value in (
        ("If-None-Match", first.headers["ETag"]),
        ("If-Modified-Since", first.headers["Last-Modified"]),
    ):
        again = await gui.get(path, headers={header: value})
        assert (again.status, again.body) == (304, b"")
    assert (await gui.get(path, headers={"If-None-Match": '"other"'})).status == 200
    before = {"If-Modified-Since": formatdate(1, usegmt=True)}
    assert (await gui.get(path, headers=before)).status == 200
    file.write_text("another release")
    changed = await gui.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status, changed.body) == (200, b"another release")


async def test_a_rewritten_page_is_kept_until_its_file_changes(gui: Client, folder: Path) -> None:
    first = await gui.get("/")
    assert (await gui.get("/")).body == first.body
    (folder / "index.html").write_text("<p>/__km_base__/x")
    assert (await gui.get("/")).body == b"<p>/x"


def kconfig_of(body: bytes) -> dict[str, str]:
    text = body.decode()
    assert text.startswith("window.K_CONFIG = ")
    config: dict[str, str] = json.loads(text.removeprefix("window.K_CONFIG = "))
    return config


async def test_kconfig_tells_where_the_admin_api_is(gui: Client) -> None:
    answer = await gui.get("/kconfig.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert kconfig_of(answer.body) == {
        "ADMIN_GUI_URL": "",
        "ADMIN_GUI_PATH": "/",
        "ADMIN_API_URL": "",
        "ADMIN_API_PORT": "8001",
        "ADMIN_API_SSL_PORT": "8444",
        "KONG_VERSION": "3.9.3",
        "KONG_EDITION": "community",
        "ANONYMOUS_REPORTS": "false",
    }


class TestBelowAPath:
    @pytest.fixture
    def overrides(self, folder: Path) -> dict[str, str]:
        return {
            "admin_gui_path_dir": str(folder),
            "admin_gui_path": "/my/manager",
            "admin_gui_api_url": "https://admin.test/kong",
            "admin_gui_url": "https://gui.test/my/manager",
            "admin_listen": "[::1]:9444 ssl",
        }

    async def test_everything_is_below_it(self, gui: Client) -> None:
        for path in ("/my/manager", "/my/manager/", "/my/manager/services"):
            answer = await gui.get(path)
            assert answer.status == 200
            assert b'src="/my/manager/assets/app-1f2e.js"' in answer.body
        assert (await gui.get("/my/manager/assets/app-1f2e.js")).status == 200
        for path in ("/", "/index.html", "/my/managers", "/kconfig.js"):
            assert (await gui.get(path)).status == 404

    async def test_kconfig_has_what_is_configured(self, gui: Client) -> None:
        config = kconfig_of((await gui.get("/my/manager/kconfig.js")).body)
        assert config["ADMIN_GUI_URL"] == "https://gui.test/my/manager"
        assert config["ADMIN_GUI_PATH"] == "/my/manager"
        assert config["ADMIN_API_URL"] == "https://admin.test/kong"
        assert (config["ADMIN_API_PORT"], config["ADMIN_API_SSL_PORT"]) == ("", "9444")


@pytest.mark.parametrize("overrides", [{}, {"admin_gui_path_dir": "/nowhere/manager"}])
async def test_without_files_a_page_says_where_they_come_from(
    gui: Client, overrides: dict[str, str]
) -> None:
    answer = await gui.get("/")
    assert answer.status == 404
    assert b"admin_gui_path_dir" in answer.body
    assert (await gui.get("/kconfig.js")).status == 200
