"""One of three nodes restarts while clients go on asking through nginx."""

import time

import pytest

from tests.deploy.conftest import Balanced
from tests.deploy.load import Load

CLIENTS = 8
REQUESTS_AROUND = 300
READY_SECONDS_MAX = 3.0


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 2])
async def test_no_request_fails_and_the_node_is_back_within_3_s(
    balanced: Balanced, number: int
) -> None:
    node = balanced.cluster.nodes[number]
    async with Load(balanced.balancer.url, CLIENTS) as load:
        await load.until_answered(REQUESTS_AROUND)
        began = time.monotonic()
        assert await node.stop() == 0
        await node.start()
        await node.until_ready(balanced.cluster.session)
        took = time.monotonic() - began
        await load.until_answered(REQUESTS_AROUND)
    assert not load.failures, balanced.balancer.errors()
    assert took < READY_SECONDS_MAX
    print(f"restarted in {took:.2f} s; {load.answered} requests answered")
