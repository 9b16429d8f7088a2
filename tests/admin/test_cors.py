"""Cross-origin headers, as Kong Manager needs them, and the headers of every answer."""

import pytest

from tests.admin.client import Client

PAGE = "http://127.0.0.1:8002"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "PATCH"}


@pytest.mark.parametrize("path", ["/services", "/services/nothing", "/nothing"])
async def test_the_origin_is_echoed_with_credentials(admin: Client, path: str) -> None:
    answer = await admin.get(path, headers={"Origin": PAGE})
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


async def test_without_an_origin_it_is_a_star(admin: Client) -> None:
    assert (await admin.get("/")).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("overrides", [{"admin_gui_url": "https://GUI.test:8445/manager"}])
@pytest.mark.parametrize("origin", [None, "https://gui.test:8445", "http://evil.test"])
async def test_with_admin_gui_url_it_is_that_origin(
    admin: Client, origin: str | None, method: str
) -> None:
    answer = await admin.call(method, "/", headers={"Origin": origin} if origin else {})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://gui.test:8445"


async def test_a_preflight_names_the_methods_of_the_path(admin: Client) -> None:
    answer = await admin.call("OPTIONS", "/services/x", headers=PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == (
        "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    )
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


async def test_a_preflight_grants_the_headers_that_are_asked_for(admin: Client) -> None:
    asked = {"Access-Control-Request-Headers": "X-Header-1,X-Header-2"}
    answer = await admin.call("OPTIONS", "/services", headers={**PREFLIGHT, **asked})
    assert answer.headers["Access-Control-Allow-Headers"] == "X-Header-1,X-Header-2"
    read = await admin.get("/", headers={**asked, "Access-Control-Request-Method": "PATCH"})
    assert "Access-Control-Allow-Headers" not in read.headers
    assert "Access-Control-Allow-Methods" not in read.headers


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/routes", "GET, HEAD, OPTIONS, POST"),
        ("/routes/test", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
    ],
)
async def test_options_name_the_methods_without_an_origin_too(
    admin: Client, path: str, methods: str
) -> None:
    answer = await admin.call("OPTIONS", path)
    assert answer.status == 204
    assert answer.headers["Allow"] == answer.headers["Access-Control-Allow-Methods"] == methods
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_other_origins_cannot_read_the_status_api(status_api: Client) -> None:
    answer = await status_api.get("/status", headers={"Origin": PAGE})
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/nothing"), ("TRACE", "/"), ("OPTIONS", "/"), ("POST", "/services")],
)
async def test_every_answer_says_who_answers_and_how_long_it_took(
    admin: Client, method: str, path: str
) -> None:
    answer = await admin.call(method, path)
    assert answer.headers["Server"] == "grapevine/0.1.0"
    assert 0 <= int(answer.headers["X-Kong-Admin-Latency"]) < 5_000
    assert "Via" not in answer.headers
