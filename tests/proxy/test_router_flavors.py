"""What the flavors of the router do differently, through a real worker."""

import pytest

from tests.proxy.client import connected
from tests.proxy.conftest import Origin
from tests.proxy.process import route, running, service


@pytest.mark.parametrize(
    ("flavor", "path"),
    [("traditional", "/baseapi/x"), ("traditional_compatible", "/base/api/x")],
)
async def test_path_handling_v1_is_for_the_traditional_router(
    flavor: str, path: str, echo: Origin
) -> None:
    target = service(f"{echo.url}/base")
    leading = route(target, paths=["/api"], strip_path=False, path_handling="v1")
    async with (
        running([target, leading], router_flavor=flavor) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get("/api/x")).text.startswith(f"GET {path} ")


@pytest.mark.parametrize(
    ("flavor", "winner"), [("traditional", "older"), ("traditional_compatible", "greater id")]
)
async def test_equal_routes_are_told_apart_by_age_or_by_id(
    flavor: str, winner: str, echo: Origin
) -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2)]
    target = service(echo.url)
    older = route(target, ids[0], paths=["/"], created_at=1, name="older")
    later = route(target, ids[1], paths=["/"], created_at=2, name="greater id")
    async with (
        running([target, older, later], router_flavor=flavor, allow_debug_header=True) as worker,
        connected(worker.port) as client,
    ):
        response = await client.get("/", "Kong-Debug: 1\r\n")
        assert response.field("Kong-Route-Name") == winner


async def test_the_traditional_router_compares_the_port_that_the_client_names(
    echo: Origin,
) -> None:
    target = service(echo.url)
    changes = [target, route(target, hosts=["a.test:81"]), route(target, hosts=["*.b.test:80"])]
    async with (
        running(changes, router_flavor="traditional") as worker,
        connected(worker.port) as client,
    ):
        for host, status in (
            ("a.test:81", 200),
            ("a.test", 404),
            ("x.b.test", 200),
            ("x.b.test:81", 404),
        ):
            assert (await client.get(host=host)).status == status, host


@pytest.mark.parametrize("allowed", [True, False])
async def test_kong_debug_names_the_route_and_the_service(allowed: bool, echo: Origin) -> None:
    target = service(echo.url, name="target")
    leading = route(target, paths=["/"], name="leading")
    async with (
        running([target, leading], allow_debug_header=allowed) as worker,
        connected(worker.port) as client,
    ):
        assert (await client.get()).field("Kong-Route-Id") is None
        response = await client.get("/", "Kong-Debug: 1\r\n")
    expected = {
        "Kong-Route-Id": leading[1],
        "Kong-Route-Name": "leading",
        "Kong-Service-Id": target[1],
        "Kong-Service-Name": "target",
    }
    for name, value in expected.items():
        assert response.field(name) == (value if allowed else None)
