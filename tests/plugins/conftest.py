"""Fixtures of the plugins' tests."""

from tests.proxy.conftest import echo

__all__ = ["echo"]
