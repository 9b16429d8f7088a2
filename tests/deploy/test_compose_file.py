"""What the reader of compose files takes, and what it refuses rather than passes over."""

from pathlib import Path

import pytest

from tests.deploy.compose import read

DATABASE = "services: {db: {image: 'postgres:16', environment: {POSTGRES_USER: kong}"


def written(folder: Path, text: str) -> Path:
    path = folder / "compose.yml"
    path.write_text(text)
    return path


def test_a_service_is_read_with_everything_that_bears_on_how_it_runs(tmp_path: Path) -> None:
    text = """
x-shared: &shared {image: grapevine}
services:
  node:
    <<: *shared
    command: kong migrations "boot strap"
    ports: ["8002:8000"]
    volumes: ["data:/var/lib/grapevine"]
    environment: {KONG_DATABASE: postgres}
volumes: {data: }
"""
    node = read(written(tmp_path, text))["node"]
    assert node.image == "grapevine"
    assert node.command == ["kong", "migrations", "boot strap"]
    assert node.ports == {8002: 8000}
    assert node.volumes == {"/var/lib/grapevine": "data"}
    assert node.environment == {"KONG_DATABASE": "postgres"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"{DATABASE}, network_mode: host}}}}", "network_mode"),
        (f"{DATABASE}, depends_on: [nobody]}}}}", "no service nobody"),
        (f"{DATABASE}, depends_on: {{a: {{condition: service_healthy}}}}}}}}", "bare list"),
        (f"{DATABASE}, volumes: ['data:/x']}}}}\nvolumes: {{}}", "no volume data"),
        (f"{DATABASE}, ports: ['127.0.0.1:80:80']}}}}", "LEFT:RIGHT"),
        (f"{DATABASE}}}}}\nsecrets: {{}}", "secrets"),
        ("services: {db: {image: x, environment: {A: '${B}'}}}", "plain text"),
        ("services: {db: {image: x, healthcheck: {test: [CMD-SHELL, x]}}}", "only CMD"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(written(tmp_path, text))
