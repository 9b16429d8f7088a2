"""The checkout that the tests of `deploy/setup` work on."""

from pathlib import Path

import pytest

from tests.setup.checkout import Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh copy in a folder whose name has blanks, as every test here must stand."""
    return Checkout(tmp_path / "my clone of it", tmp_path / "bin")
