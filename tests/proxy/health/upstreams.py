"""Upstreams and targets as they are stored, for tests of their health."""

import json
import uuid
from typing import Any

from node.channel import Change
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.settings import Checks, Limits, read_checks


def uuid_of(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


UPSTREAM_ID = uuid_of(1)


def passive(**unhealthy: Any) -> dict[str, Any]:
    """Passive checks with these limits; ``successes`` is of the healthy side."""
    successes = unhealthy.pop("successes", 0)
    return {"passive": {"healthy": {"successes": successes}, "unhealthy": unhealthy}}


def active(
    interval: float = 1.0, times: int = 1, healthy_interval: float | None = None, **fields: Any
) -> dict[str, Any]:
    """Active checks in which ``times`` results each way decide."""
    well = interval if healthy_interval is None else healthy_interval
    return {
        "active": {
            "healthy": {"interval": well, "successes": times},
            "unhealthy": {
                "interval": interval,
                "http_failures": times,
                "tcp_failures": times,
                "timeouts": times,
            },
            **fields,
        }
    }


def upstream(checks: dict[str, Any], upstream_id: str = UPSTREAM_ID) -> Change:
    fields = {"id": upstream_id, "name": "u1", "healthchecks": checks}
    return ("upstreams", upstream_id, json.dumps(fields))


def target(
    number: int, host: str = "", port: int = 80, weight: int = 100, upstream_id: str = UPSTREAM_ID
) -> Change:
    target_id = uuid_of(100 + number)
    host = host or f"10.0.0.{number}"
    fields = {
        "id": target_id,
        "upstream": {"id": upstream_id},
        "target": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "weight": weight,
    }
    return ("targets", target_id, json.dumps(fields))


def address(number: int, host: str = "", port: int = 80) -> TargetAddress:
    """What ``target`` of the same arguments has."""
    return TargetAddress(UPSTREAM_ID, uuid_of(100 + number), host or f"10.0.0.{number}", port)


def checks_of(checks: dict[str, Any]) -> Checks:
    text = upstream(checks)[2]
    assert text is not None
    read = read_checks(text)
    assert read is not None
    return read


def limits(
    successes: int = 0, http_failures: int = 0, tcp_failures: int = 0, timeouts: int = 0
) -> Limits:
    numbers = (successes, http_failures, tcp_failures, timeouts)
    return Limits(numbers, frozenset({200}), frozenset({500}))
