"""The locks hold what pyproject.toml asks for, hashed, and name no place that it comes from."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.setup.checkout import ROOT

PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")


def pins(name: str) -> dict[str, str]:
    """Package name to its one version in a lock."""
    found = PIN.findall(lock_text(name))
    versions = dict(found)
    assert len(versions) == len(found), f"{name}.lock names a package twice"
    return versions


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def unmet(requirements: list[str], locked: dict[str, str]) -> list[str]:
    """The requirements that a lock doesn't hold, or holds in a version they exclude."""
    return [
        line
        for line in requirements
        if (wanted := Requirement(line))
        and not wanted.specifier.contains(locked.get(canonicalize_name(wanted.name), "0"))
    ]


def test_every_dependency_is_locked_in_an_allowed_version() -> None:
    assert unmet(project()["project"]["dependencies"], pins("runtime")) == []


def test_every_tool_is_locked_in_an_allowed_version() -> None:
    assert unmet(project()["dependency-groups"]["dev"], pins("dev")) == []


def test_the_build_back_end_is_locked_for_builds_without_isolation() -> None:
    assert unmet(project()["build-system"]["requires"], pins("dev")) == []


def test_a_dependency_that_is_not_locked_is_seen() -> None:
    assert unmet(["aiohttp>=3", "absent>=1"], {"aiohttp": "3.1"}) == ["absent>=1"]
    assert unmet(["aiohttp>=4"], {"aiohttp": "3.1"}) == ["aiohttp>=4"]


def test_adding_the_tools_changes_no_run_time_package() -> None:
    runtime, dev = pins("runtime"), pins("dev")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_no_tool_is_installed_for_running() -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & pins("runtime").keys()


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_package_has_a_hash(name: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", lock_text(name), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(name))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_a_lock_names_no_index_and_no_path(name: str) -> None:
    assert re.findall(r"\S*(?:://|--index|--find-links|file:|@ )\S*", lock_text(name)) == []
