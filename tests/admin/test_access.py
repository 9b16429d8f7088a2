"""Foreign pages are refused, programs are not (DESIGN 9), and the admin token is asked for."""

import pytest
from multidict import CIMultiDict

from node.admin.access import Access, cross_site_refusal, is_loopback_address, origin_of
from tests.admin.client import Client

EVIL = "http://evil.test"
ACCESS = Access(
    allowed_origins=frozenset({"https://ops.test"}),
    gui_origins=("https://gui.test",),
    gui_ports=frozenset({8002}),
)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program"),
        pytest.param({"Host": "gw.test:8001"}, id="a program by any name"),
        pytest.param(
            {"Host": "localhost:8001", "Origin": "http://localhost:8001"}, id="own origin"
        ),
        pytest.param({"Host": "127.0.0.1:8001", "Origin": "http://127.0.0.1:8002"}, id="GUI port"),
        pytest.param({"Host": "[::1]:8001", "Origin": "http://[::1]:8002"}, id="GUI port, IPv6"),
        pytest.param({"Host": "LOCALHOST:8001", "Origin": "http://localhost:8002"}, id="case"),
        pytest.param({"Host": "x.test", "Origin": "https://ops.test"}, id="allowed origin"),
        pytest.param({"Host": "x.test", "Origin": "https://gui.test"}, id="admin_gui_url"),
        pytest.param({"Host": "localhost:8001", "Sec-Fetch-Site": "none"}, id="typed by the user"),
        pytest.param({"Host": "app.localhost", "Sec-Fetch-Site": "same-origin"}, id="*.localhost"),
    ],
)
def test_these_are_served_on_loopback(headers: dict[str, str]) -> None:
    assert cross_site_refusal(ACCESS, CIMultiDict(headers), listener_is_loopback=True) is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Host": "localhost:8001", "Origin": EVIL}, "origin 'http://evil.test' is not allowed"),
        ({"Host": "localhost:8001", "Origin": "null"}, "origin 'null'"),
        ({"Host": "localhost:8001", "Origin": "http://localhost:3000"}, "origin"),
        ({"Host": "localhost:8001", "Origin": "http://evil.test:8002"}, "origin"),
        ({"Host": "localhost:8001", "Origin": "http://[bad"}, "origin"),
        ({"Host": "localhost:8001", "Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site"),
        ({"Host": "evil.test:8001", "Origin": "http://evil.test:8001"}, "Host 'evil.test:8001'"),
        ({"Host": "evil.test:8001", "Sec-Fetch-Mode": "cors"}, "Host 'evil.test:8001'"),
        ({"Host": "127.0.0.1.evil.test", "Sec-Fetch-Site": "same-origin"}, "Host"),
        ({"Host": "[bad", "Sec-Fetch-Site": "same-origin"}, "Host"),
        ({"Host": "", "Sec-Fetch-Site": "same-origin"}, "Host"),
    ],
)
def test_these_are_refused_on_loopback(headers: dict[str, str], reason: str) -> None:
    refusal = cross_site_refusal(ACCESS, CIMultiDict(headers), listener_is_loopback=True)
    assert refusal is not None
    assert reason in refusal
    assert refusal.startswith("cross-site request refused: ")
    assert "admin_allowed_origins" in refusal or "Sec-Fetch-Site" in refusal


def test_a_name_of_its_own_is_fine_beyond_loopback() -> None:
    headers = CIMultiDict({"Host": "gw.test:8001", "Origin": "https://gw.test:8001"})
    assert cross_site_refusal(Access(), headers, listener_is_loopback=False) is None


def test_a_star_refuses_nothing() -> None:
    access = Access(allowed_origins=frozenset({"*"}))
    headers = CIMultiDict({"Host": "evil.test", "Origin": EVIL, "Sec-Fetch-Site": "cross-site"})
    assert cross_site_refusal(access, headers, listener_is_loopback=True) is None


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1%eth0", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("gw.test", False),
    ],
)
def test_loopback_addresses(address: str, loopback: bool) -> None:
    assert is_loopback_address(address) is loopback


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://GUI.test:80/path", "http://gui.test"),
        ("https://gui.test:8445", "https://gui.test:8445"),
        ("http://[::1]:8002/x", "http://[::1]:8002"),
    ],
)
def test_origins_are_written_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_foreign_page_gets_403_and_changes_nothing(admin: Client, method: str) -> None:
    await admin.make_service("orders")
    path = "/services" if method == "POST" else "/services/orders"
    answer = await admin.call(method, path, json={"host": "x.test"}, headers={"Origin": EVIL})
    assert answer.status == 403
    assert "admin_allowed_origins" in answer.message
    assert len((await admin.get("/services")).json["data"]) == 1


@pytest.mark.parametrize("overrides", [{"admin_allowed_origins": "HTTP://evil.test:80"}])
async def test_an_origin_in_admin_allowed_origins_is_served(admin: Client) -> None:
    assert (await admin.get("/services", headers={"Origin": EVIL})).status == 200


@pytest.mark.parametrize("overrides", [{"admin_gui_listen": "127.0.0.1:8002"}])
async def test_the_gui_on_the_same_host_is_served(admin: Client) -> None:
    answer = await admin.get("/services", headers={"Origin": "http://127.0.0.1:8002"})
    assert answer.status == 200


TOKEN = "correct-horse-battery"


@pytest.mark.parametrize("overrides", [{"admin_token": TOKEN}])
class TestWithAdminToken:
    """With ``admin_token`` set."""

    @pytest.mark.parametrize(
        "headers", [{"Kong-Admin-Token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}]
    )
    async def test_the_token_lets_in(self, admin: Client, headers: dict[str, str]) -> None:
        assert (await admin.get("/services", headers=headers)).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Kong-Admin-Token": ""},
            {"Kong-Admin-Token": TOKEN + "x"},
            {"Kong-Admin-Token": "é"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer"},
        ],
    )
    async def test_anything_else_is_401(self, admin: Client, headers: dict[str, str]) -> None:
        answer = await admin.get("/services", headers=headers)
        assert (answer.status, answer.body) == (401, b'{"message":"Unauthorized"}')
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    async def test_a_preflight_needs_none(self, admin: Client) -> None:
        assert (await admin.call("OPTIONS", "/services")).status == 204

    async def test_the_status_api_needs_none(self, status_api: Client) -> None:
        assert (await status_api.get("/status/ready")).status == 200

    async def test_get_root_does_not_show_it(self, admin: Client) -> None:
        answer = await admin.get("/", headers={"Kong-Admin-Token": TOKEN})
        assert answer.json["configuration"]["admin_token"] == "******"
        assert TOKEN.encode() not in answer.body
