"""prometheus: what is counted under which labels, and that it stays bounded."""

from pathlib import Path
from typing import Any

import pytest

from node.plugins.context import Consumer, Facts
from node.plugins.series import DROPPED, Series, parted, series_name
from tests.plugins.gateway import consumer, key_of, plugged, plugin
from tests.plugins.harness import SmallWorker, context_of, head, one, run_access
from tests.proxy.client import connected
from tests.proxy.conftest import Origin
from tests.proxy.process import route, service

FACTS = Facts(200, 70, 60, 3, 120, 500, 1_000.0)


def counted(config: dict[str, Any], facts: Facts = FACTS, who: str = "") -> dict[str, int]:
    worker = SmallWorker()
    context = context_of(head(), worker)
    if who:
        context.authenticate(Consumer("1", who, ""), None)
    phases, _ = run_access(context, one("prometheus", worker, **config))
    phases.filter_head(facts.status, list, "service" if facts.upstream_ms is not None else "exit")
    phases.end(facts)
    return worker.series.take_changed()


def labels(found: dict[str, int]) -> dict[tuple[str, ...], int]:
    return {
        (name.partition("#")[0], *parts): value
        for (name, parts), value in ((parted(each), value) for each, value in found.items())
    }


def test_nothing_is_counted_that_is_not_asked_for() -> None:
    assert counted({}) == {}


def test_statuses_say_who_answered() -> None:
    of = ("kong_http_requests_total", "svc", "rt", "200")
    assert labels(counted({"status_code_metrics": True}, who="ann")) == {
        (*of, "service", "default", ""): 1
    }
    config = {"status_code_metrics": True, "per_consumer": True}
    assert labels(counted(config, FACTS._replace(upstream_ms=None), "ann")) == {
        (*of, "kong", "default", "ann"): 1
    }


def test_bytes_of_both_directions_are_counted() -> None:
    of = ("kong_bandwidth_bytes", "svc", "rt")
    assert labels(counted({"bandwidth_metrics": True})) == {
        (*of, "ingress", "default", ""): 120,
        (*of, "egress", "default", ""): 500,
    }


@pytest.mark.parametrize(("upstream", "families"), [(60, 3), (None, 2)])
def test_latencies_are_histograms(upstream: int | None, families: int) -> None:
    found = counted({"latency_metrics": True}, FACTS._replace(upstream_ms=upstream))
    assert len(found) == 2 * families
    assert found[series_name("kong_request_latency_ms#sum", ("svc", "rt", "default"))] == 70
    assert found[series_name("kong_kong_latency_ms#2", ("svc", "rt", "default"))] == 1


def test_series_are_bounded_and_what_is_left_out_is_counted() -> None:
    series = Series(series_max=3)
    for number in range(10):
        series.add(series_name("m", (str(number),)))
    series.add(series_name("m", ("0",)))
    assert series.take_changed() == {"m\x1f0": 2, "m\x1f1": 1, "m\x1f2": 1, DROPPED: 7}
    assert series.take_changed() == {}
    series.add(series_name("m", ("1",)), 5)
    assert series.take_changed() == {"m\x1f1": 6}, "a value, not a difference"


def test_labels_can_not_be_forged() -> None:
    name = series_name("m", ("a\x1fb", "\udcff" * 300))
    metric, values = parted(name)
    assert (metric, values[0], len(values)) == ("m", "a b", 2)
    assert len(values[1]) == 256
    name.encode()


async def test_a_worker_tells_its_agent_what_changed(echo: Origin, tmp_path: Path) -> None:
    target = service(echo.url, name="svc")
    made = route(target, paths=["/"], name="rt")
    ann = consumer("ann")
    flags = ("per_consumer", "status_code_metrics", "latency_metrics", "bandwidth_metrics")
    entities = [
        target,
        made,
        ann,
        key_of(ann, "k"),
        plugin("key-auth", route=made),
        plugin("prometheus", dict.fromkeys(flags, True)),
    ]
    async with plugged(entities, tmp_path) as worker, connected(worker.port) as client:
        assert (await client.get("/", "apikey: k\r\n")).status == 200
        assert (await client.get("/")).status == 401
        of = ("svc", "rt")
        wanted = {
            series_name("kong_http_requests_total", (*of, "200", "service", "default", "ann")),
            series_name("kong_http_requests_total", (*of, "401", "kong", "default", "")),
        }
        await worker.until(lambda: wanted <= worker.labelled.keys())
        egress = series_name("kong_bandwidth_bytes", (*of, "egress", "default", "ann"))
        assert worker.labelled[egress] > 200
