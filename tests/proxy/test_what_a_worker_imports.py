"""A worker begins without what most workers never use: it starts sooner, and is smaller."""

import subprocess
import sys

import pytest

IMPORTED = "import sys, node.proxy.worker; print(*sys.modules, sep='\\n')"


@pytest.mark.parametrize(
    "package", ["cryptography", "dns", "importlib.metadata", "yaml", "aiohttp", "asyncpg"]
)
def test_a_worker_begins_without(package: str, modules_of_a_worker: set[str]) -> None:
    assert package not in modules_of_a_worker


@pytest.fixture(scope="module")
def modules_of_a_worker() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], stdout=subprocess.PIPE, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert "node.proxy.gateway" in modules
    return modules
