"""Reads the part of the compose file's language that deploy/docker-compose.yml uses.

A key that isn't known here is an error: else the test would run something other than what Compose
would.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

WITHOUT_EFFECT_HERE = frozenset({"build", "healthcheck", "restart"})
"""How the image is made, and what an engine does with a service that has failed."""
KNOWN = frozenset({"command", "depends_on", "environment", "image", "ports", "volumes"})
EXTENSION = "x-"


@dataclass(frozen=True, slots=True)
class Service:
    """One service as the file words it."""

    name: str
    image: str
    command: Sequence[str]
    """Empty: the image's own."""
    environment: Mapping[str, str]
    depends_on: Sequence[str]
    """Started before it; an engine doesn't wait for more with a bare list."""
    ports: Mapping[int, int]
    """The host's port -> the container's."""
    volumes: Mapping[str, str]
    """Folder in the container -> volume."""
    health_command: Sequence[str]


def read(path: Path) -> dict[str, Service]:
    """The services of a compose file by name. Raises ValueError for what isn't understood."""
    document = yaml.safe_load(path.read_text("utf-8"))
    unknown = [
        key
        for key in document
        if key not in ("services", "volumes") and not key.startswith(EXTENSION)
    ]
    if unknown:
        raise ValueError(f"{path}: sections not understood: {unknown}")
    services = {name: _service(name, body) for name, body in document["services"].items()}
    for service in services.values():
        for named in service.depends_on:
            if named not in services:
                raise ValueError(f"{path}: {service.name}: depends_on: no service {named}")
        for volume in service.volumes.values():
            if volume not in document["volumes"]:
                raise ValueError(f"{path}: {service.name}: volumes: no volume {volume}")
    return services


def _service(name: str, body: Mapping[str, Any]) -> Service:
    unknown = body.keys() - KNOWN - WITHOUT_EFFECT_HERE
    if unknown:
        raise ValueError(f"service {name}: keys not understood: {sorted(unknown)}")
    depends_on = body.get("depends_on", [])
    if not isinstance(depends_on, list):
        raise ValueError(f"service {name}: depends_on: only the bare list is understood")
    command = body.get("command", [])
    health = body.get("healthcheck", {}).get("test", ["CMD"])
    if health[0] != "CMD":
        raise ValueError(f"service {name}: healthcheck: only CMD is understood")
    return Service(
        name,
        body["image"],
        shlex.split(command) if isinstance(command, str) else command,
        {key: _text(name, key, value) for key, value in body.get("environment", {}).items()},
        depends_on,
        {int(host): int(inner) for host, inner in _pairs(body.get("ports", []))},
        {folder: volume for volume, folder in _pairs(body.get("volumes", []))},
        health[1:],
    )


def _text(service: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or "$" in value:
        raise ValueError(f"service {service}: environment: {key}: only plain text is understood")
    return value


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for line in lines:
        left, colon, right = line.partition(":")
        if not colon or ":" in right:
            raise ValueError(f"{line!r}: only LEFT:RIGHT is understood")
        pairs.append((left, right))
    return pairs
