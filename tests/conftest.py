"""Fixtures that all tests may use."""

pytest_plugins = ("tests.order", "tests.postgres_server", "tests.proxy.nursery", "tests.rings")
