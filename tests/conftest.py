"""Fixtures that all tests may use."""

from tests.rings import no_test_is_long_unmarked

__all__ = ["no_test_is_long_unmarked"]

pytest_plugins = ("tests.postgres_server",)
